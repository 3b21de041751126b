//! A hundred thousand connections, one after the other: nothing of them stays.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use futures::future::try_join_all;
use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, spawn};
use socket2::SockRef;

use crate::harness::{Log, bytes_of, echo_server, listener, memory, run, tell, until};
use crate::util::{backend, open_descriptors};

loads! {
    a_hundred_thousand_connections_in_succession_leave_nothing_behind,
}

/// Those that come before the memory is looked at first, and in all.
const FIRST: usize = 10_000;
const ALL: usize = 100_000;

/// Clients that come one after the other, beside each other.
const CHAINS: usize = 8;

/// One in so many says good-bye, and its port is kept busy for a minute by it. The others go by a
/// reset, once they have their echo.
const POLITE_EACH: usize = 20;

/// Memory that may be there at the end and was not after the first ones: less than three bytes
/// for each connection.
const SLACK: usize = 256 * 1024;

async fn visit(server: SocketAddr, number: usize) -> io::Result<()> {
    let mut stream = Async::<TcpStream>::connect(server).await?;
    let message = bytes_of(number as u64, 0, 32);
    stream.write_all(&message).await?;
    let mut echo = [0; 32];
    stream.read_exact(&mut echo).await?;
    assert!(message == echo, "visitor {number} got other bytes");
    if number.is_multiple_of(POLITE_EACH) {
        stream.close().await?;
        assert_eq!(stream.read(&mut echo).await?, 0);
    } else {
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    }
    Ok(())
}

/// Has visitors `from..to` come, and returns when they have gone.
async fn have_visitors(server: SocketAddr, log: &Log, from: usize, to: usize) {
    let chain = |first| async move {
        for number in (from + first..to).step_by(CHAINS) {
            visit(server, number).await?;
        }
        io::Result::Ok(())
    };
    let chains: Vec<_> = (0..CHAINS).map(|first| spawn(chain(first))).collect();
    try_join_all(chains).await.unwrap();
    until(|| log.finished.get() + log.reset.get() == to).await;
}

fn a_hundred_thousand_connections_in_succession_leave_nothing_behind() {
    run(async {
        let (listener, address) = listener();
        let log = Rc::new(Log::default());
        let _server = echo_server::<64>(listener, &log);
        let descriptors = open_descriptors();
        have_visitors(address, &log, 0, FIRST).await;
        let before = memory();
        assert_eq!(open_descriptors(), descriptors);
        have_visitors(address, &log, FIRST, ALL).await;
        let grown = memory().saturating_sub(before);
        assert_eq!(open_descriptors(), descriptors);
        assert!(grown < SLACK, "{grown} bytes stayed");
        let polite = ALL / POLITE_EACH;
        assert_eq!((log.finished.get(), log.reset.get()), (polite, ALL - polite));
        assert_eq!((log.accepted.get(), log.open.get()), (ALL, 0));
        assert_eq!(log.bytes.get(), 32 * ALL as u64);
        tell(format_args!(
            "{}: {ALL} connections in succession, {polite} of them with a FIN, {} bytes echoed; \
             memory after {FIRST} and after all differs by {grown} bytes, descriptors by none",
            backend().name(),
            log.bytes.get()
        ));
    });
}
