//! A test's thread as the only host.

use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::Async;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_usual_test_has_its_time_and_its_loopback() {
    let real = Instant::now();
    let alone = selkie_sim::alone(1);
    selkie::block_on(async {
        let listener = Async::<TcpListener>::bind("127.0.0.1:80").unwrap();
        let mut client = Async::<TcpStream>::connect("localhost:80").await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        selkie::sleep(HOUR).await;
        client.write_all(b"hello").await.unwrap();
        server.read_exact(&mut [0; 5]).await.unwrap();
    });
    assert!((HOUR..2 * HOUR).contains(&alone.now()), "{:?}", alone.now());
    drop(alone);
    assert!(real.elapsed() < HOUR / 60);
    assert!(selkie::time::now() - real < HOUR / 60);
}

#[test]
fn a_wait_that_nothing_can_end_panics_instead() {
    let _alone = selkie_sim::alone(1);
    let waits = || selkie::block_on(std::future::pending::<()>());
    let payload = catch_unwind(AssertUnwindSafe(waits)).unwrap_err();
    let text = payload.downcast_ref::<&str>().unwrap();
    assert!(text.starts_with("this waits for ever: no timer is set"), "{text}");
}
