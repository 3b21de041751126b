//! A source that is always ready shares: with other tasks, and within its own.

use std::cell::Cell;
use std::io::Write;
use std::os::unix::net::UnixStream;

use futures::future::{join, select};
use futures::io::AsyncReadExt;
use selkie::{Async, yield_now};

use crate::util::run;

/// A stream with one byte to read, that stays there while it is only peeked at.
fn always_readable() -> (Async<UnixStream>, UnixStream) {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"x").unwrap();
    (Async::new(near).unwrap(), far)
}

/// Peeks for ever, counting.
async fn firehose(near: &Async<UnixStream>, count: &Cell<u64>) {
    loop {
        assert_eq!(near.peek(&mut [0]).await.unwrap(), 1);
        count.set(count.get() + 1);
    }
}

#[test]
fn a_firehose_lets_another_task_read() {
    run(async || {
        let (near, _far) = always_readable();
        let busy = selkie::spawn(async move { firehose(&near, &Cell::new(0)).await });
        let (mut one, mut other) = always_readable();
        for _ in 0..100 {
            one.read_exact(&mut [0]).await.unwrap();
            other.write_all(b"x").unwrap();
            yield_now().await;
        }
        assert!(!busy.is_finished());
    });
}

#[test]
fn a_firehose_lets_another_future_of_its_own_task_read() {
    run(async || {
        let (near, _far) = always_readable();
        let (mut one, mut other) = always_readable();
        let count = Cell::new(0);
        let converse = async {
            for _ in 0..100 {
                one.read_exact(&mut [0]).await.unwrap();
                other.write_all(b"x").unwrap();
            }
        };
        // The firehose is polled first, and uses the task's budget up each time.
        let firehose = Box::pin(firehose(&near, &count));
        select(firehose, Box::pin(converse)).await;
        assert!(count.get() > 100);
    });
}

#[test]
fn two_firehoses_of_one_task_both_flow() {
    run(async || {
        let (one, _far) = always_readable();
        let (other, _far) = always_readable();
        let (first, second) = (Cell::new(0), Cell::new(0));
        let both = join(firehose(&one, &first), firehose(&other, &second));
        let enough = async {
            while first.get().min(second.get()) < 1_000 {
                yield_now().await;
            }
        };
        select(Box::pin(both), Box::pin(enough)).await;
    });
}
