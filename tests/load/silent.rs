//! Peers that are there no more, or not just now, and say nothing: a process that is stopped, and
//! one whose end of the connection is gone without a FIN. Only a timeout gets rid of these.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt};
use nix::errno::Errno;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpRepair;
use selkie::{Async, sleep, spawn, timeout};

use crate::child::role;
use crate::harness::{bytes_of, listener, run, tell};
use crate::peer::{Master, Peer};
use crate::util::{async_tcp_pair, backend, open_descriptors, thread_cpu_time};

loads! {
    a_write_timeout_gets_rid_of_peers_that_stand_still,
    a_read_timeout_gets_rid_of_a_peer_that_has_vanished,
}

/// Connections of the stopped process.
const STUCK: usize = 50;

/// How long the server waits for a write to go on.
const ALLOWED: Duration = Duration::from_secs(1);

/// The server is watched for this long at a time. Much less than what is allowed to the writes.
const WATCHED: Duration = Duration::from_millis(15);

/// Bytes that are offered at a time.
const CHUNK: usize = 16 * 1024;

/// More than both sockets' buffers hold. Bytes.
const TOO_MUCH: u64 = 256 * 1024 * 1024;

fn a_write_timeout_gets_rid_of_peers_that_stand_still() {
    match role().as_deref() {
        Some("clients") => stopped_clients(),
        _ => run(server()),
    }
}

/// Sends without end, and gives up when nothing has been taken for a while. Returns how many bytes
/// were. Adds them to `taken` at once.
async fn send_until_stuck(mut stream: Async<TcpStream>, number: u64, taken: Rc<Cell<u64>>) -> u64 {
    let mut sent = 0;
    loop {
        assert!(sent < TOO_MUCH, "a process that stands still takes {sent} bytes");
        let bytes = bytes_of(number, sent, CHUNK);
        let mut left = &bytes[..];
        while !left.is_empty() {
            let Ok(written) = timeout(ALLOWED, stream.write(left)).await else {
                return sent + (CHUNK - left.len()) as u64;
            };
            let written = written.unwrap();
            taken.set(taken.get() + written as u64);
            left = &left[written..];
        }
        sent += CHUNK as u64;
    }
}

async fn server() {
    let (listener, address) = listener();
    let before = open_descriptors();
    let mut clients = Peer::start("clients", address);
    let mut streams = Vec::new();
    while streams.len() < STUCK {
        streams.push(listener.accept().await.unwrap().0);
    }
    clients.expect("all are in").await;
    clients.stop();
    let (mut near, mut far) = async_tcp_pair();

    let taken = Rc::new(Cell::new(0));
    let sends = streams.into_iter().zip(0..);
    let sends =
        sends.map(|(stream, number)| spawn(send_until_stuck(stream, number, taken.clone())));
    let sends: Vec<_> = sends.collect();
    // While none of them gets on, it costs nothing to wait for them, and others are served.
    let mut least_work = None;
    for round in 0.. {
        if sends.iter().any(|send| send.is_finished()) {
            break;
        }
        let (before, worked) = (taken.get(), thread_cpu_time());
        sleep(WATCHED).await;
        let worked = thread_cpu_time() - worked;
        if taken.get() == before {
            least_work = Some(least_work.map_or(worked, |least| worked.min(least)));
        }
        near.write_all(&bytes_of(0, round, 10)).await.unwrap();
        let mut echo = [0; 10];
        far.read_exact(&mut echo).await.unwrap();
        assert!(echo[..] == bytes_of(0, round, 10));
    }
    let work = least_work.expect("all were stuck for a while");
    assert!(work < WATCHED / 2, "never less than {work:?} of work in {WATCHED:?}");
    let sent: Vec<u64> = join_all(sends).await;
    drop((near, far));
    // The pipes to the clients; the connections are all gone.
    assert_eq!(open_descriptors(), before + 2);

    // What was taken before is not lost when they go on.
    clients.resume();
    clients.say("take it");
    let taken = clients.expect("taken ").await;
    assert_eq!(taken, sent.iter().sum::<u64>().to_string());
    clients.end().await;
    tell(format_args!(
        "{}: {STUCK} connections of a stopped process given up after {ALLOWED:?}, {taken} bytes \
         that it had taken by then arrived",
        backend().name()
    ));
}

fn stopped_clients() {
    let mut master = Master::meet();
    let clients: Vec<_> = (0..STUCK).map(|_| master.connect()).collect();
    master.tell("all are in");
    // The server stops this process here, or anywhere.
    master.expect("take it");
    let mut taken = 0;
    for (number, mut client) in clients.into_iter().enumerate() {
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert!(all == bytes_of(number as u64, 0, all.len()), "{number} got other bytes");
        taken += all.len();
    }
    master.tell(format_args!("taken {taken}"));
}

/// A socket in repair mode is closed without a word, as if its machine had lost its power. The
/// kernel, which is that machine's too, answers what comes later by a reset, as a machine does
/// that is up again.
fn a_read_timeout_gets_rid_of_a_peer_that_has_vanished() {
    run(async {
        let name = backend().name();
        for round in 0..20 {
            let (mut near, far) = async_tcp_pair();
            near.write_all(b"hello").await.unwrap();
            let mut far = far.into_inner().unwrap();
            far.read_exact(&mut [0; 5]).unwrap();
            match setsockopt(&far, TcpRepair, &1) {
                Ok(()) => {}
                Err(Errno::EPERM) => {
                    return tell(format_args!("{name}: skipped: needs CAP_NET_ADMIN"));
                }
                Err(error) => panic!("{error}"),
            }
            drop(far);
            let mut buffer = [0; 8];
            let read = timeout(Duration::from_millis(10), near.read(&mut buffer)).await;
            assert!(read.is_err(), "{round}: nobody said anything, but: {read:?}");
            // The first write is taken, into the buffers; the answer to it ends the connection.
            near.get_ref().write_all(b"are you there?").unwrap();
            let error = near.read(&mut buffer).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        tell(format_args!("{name}: 20 peers that vanished without a FIN given up by a timeout"));
    });
}
