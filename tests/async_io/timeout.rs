//! `timeout`: the value, or `Elapsed`.

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::io::AsyncReadExt;
use selkie::time::{Elapsed, timeout_at};
use selkie::{Async, Timer, sleep, timeout, yield_now};

use crate::util::{Stepped, Watcher, run};

const SOON: Duration = Duration::from_millis(2);
const LATE: Duration = Duration::from_secs(3600);

#[test]
fn the_value_comes_out_if_it_is_there_in_time() {
    run(async || {
        assert_eq!(timeout(LATE, ready(7)).await, Ok(7));
        assert_eq!(
            timeout(LATE, async { Timer::after(SOON).await.elapsed() < LATE }).await,
            Ok(true)
        );
        assert_eq!(timeout(Duration::ZERO, ready(7)).await, Ok(7));
        assert_eq!(timeout(Duration::MAX, ready(7)).await, Ok(7));
        let past = Instant::now().checked_sub(SOON).unwrap();
        assert_eq!(timeout_at(past, ready(7)).await, Ok(7));
    });
}

#[test]
fn elapsed_comes_out_when_the_time_is_up_and_not_before() {
    run(async || {
        let start = Instant::now();
        assert_eq!(timeout(SOON, pending::<()>()).await, Err(Elapsed::new()));
        assert!(start.elapsed() >= SOON);
        assert_eq!(timeout_at(start, pending::<()>()).await, Err(Elapsed::new()));
        assert_eq!(timeout(Duration::ZERO, pending::<()>()).await, Err(Elapsed::new()));
        let inner = timeout(SOON, timeout(LATE, pending::<()>()));
        assert_eq!(inner.await, Err(Elapsed::new()));
        let outer = timeout(LATE, timeout(SOON, pending::<()>()));
        assert_eq!(outer.await, Ok(Err(Elapsed::new())));
    });
}

#[test]
fn elapsed_is_an_io_error_of_its_kind() {
    run(async || {
        async fn both() -> io::Result<()> {
            timeout(SOON, pending::<io::Result<()>>()).await?
        }
        let error = both().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.get_ref().unwrap().is::<Elapsed>());
        assert!(error.to_string().contains("before its deadline"), "{error}");
    });
}

#[test]
fn a_value_that_comes_in_the_turn_of_the_deadline_is_not_lost() {
    let stepped = Stepped::new();
    let is_there = Cell::new(false);
    let watcher = Watcher::new();
    let value = poll_fn(|_| if is_there.get() { Poll::Ready(7) } else { Poll::Pending });
    let mut timeout = pin!(timeout(SOON, value));
    assert!(stepped.poll(timeout.as_mut(), &watcher).is_pending());
    stepped.until("the deadline has passed", || watcher.count() > 0);
    is_there.set(true);
    assert_eq!(stepped.poll(timeout, &watcher), Poll::Ready(Ok(7)));
}

#[test]
fn a_future_that_uses_up_its_budget_meets_its_deadline_all_the_same() {
    run(async || {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"x").unwrap();
        let near = Async::new(near).unwrap();
        let firehose = async {
            loop {
                near.peek(&mut [0]).await.unwrap();
            }
        };
        assert_eq!(timeout(SOON, firehose).await, Err::<(), _>(Elapsed::new()));
        let restless = async {
            loop {
                yield_now().await;
            }
        };
        assert_eq!(timeout(SOON, restless).await, Err::<(), _>(Elapsed::new()));
    });
}

#[test]
fn a_timeout_that_ends_leaves_no_timer_behind() {
    let stepped = Stepped::new();
    let watcher = Watcher::new();
    {
        let mut dropped = pin!(timeout(LATE, pending::<()>()));
        assert!(stepped.poll(dropped.as_mut(), &watcher).is_pending());
        assert!(stepped.next_deadline().is_some());
    }
    assert_eq!((stepped.next_deadline(), watcher.holders()), (None, 0));
    stepped.block_on(async {
        timeout(LATE, sleep(SOON)).await.unwrap();
    });
    assert_eq!(stepped.next_deadline(), None);
}

#[test]
fn a_read_that_timed_out_has_taken_nothing() {
    run(async || {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut near = Async::new(near).unwrap();
        let mut buf = [0; 8];
        for _ in 0..3 {
            assert!(timeout(SOON, near.read(&mut buf)).await.is_err());
        }
        far.write_all(b"hello").unwrap();
        assert_eq!(timeout(LATE, near.read(&mut buf)).await.unwrap().unwrap(), 5);
    });
}
