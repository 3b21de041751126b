//! One sequence of bytes that arrive, and are told to the loop, while somebody tries to read them:
//! after the system has said that it would block, and before the runtime hears of that.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use selkie::{Async, Builder, Runtime};

use crate::seeds::{DEADLINE, Sequence, count, is_invented};
use crate::streams::byte;

/// Bytes in a sequence.
const BYTES: u64 = 60;

/// A waker that says whether it was called.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

pub fn run(mut sequence: Sequence) {
    let runtime = Builder::new().build_with(sequence.open()).unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = loop {
        match runtime.enter(|| Async::new(near.try_clone().unwrap())) {
            Ok(near) => break near,
            Err(refused) => assert!(is_invented(refused.error()), "{refused}"),
        }
    };
    let late = Instant::now() + DEADLINE;
    for place in 0..BYTES {
        let mut has_come = sequence.chance.percent(10);
        if has_come {
            far.write_all(&[byte(0, place)]).unwrap();
        }
        let turns = sequence.chance.below(4);
        let found = read_byte(&runtime, &near, late, || {
            if !std::mem::replace(&mut has_come, true) {
                far.write_all(&[byte(0, place)]).unwrap();
                (0..turns).for_each(|_| turn(&runtime, Duration::ZERO));
            }
        });
        assert_eq!(found, byte(0, place), "byte {place} is another one");
    }
    count(&sequence.tally.bytes, BYTES);
}

/// The next byte; calls `in_between` when a read would block, or is not tried at all.
fn read_byte(
    runtime: &Runtime,
    near: &Async<UnixStream>,
    late: Instant,
    mut in_between: impl FnMut(),
) -> u8 {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    loop {
        let mut buf = [0];
        let polled = near.poll_read_with(&mut cx, |mut io| {
            let read = io.read(&mut buf);
            if read.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                in_between();
            }
            read
        });
        match polled {
            Poll::Ready(Ok(len)) => {
                assert_eq!(len, 1);
                return buf[0];
            }
            Poll::Ready(Err(error)) => assert!(is_invented(&error), "{error}"),
            Poll::Pending => {
                in_between();
                while !woken.0.swap(false, SeqCst) {
                    let left = late.saturating_duration_since(Instant::now());
                    assert!(!left.is_zero(), "a byte that has come is not told");
                    turn(runtime, left);
                }
            }
        }
    }
}

fn turn(runtime: &Runtime, timeout: Duration) {
    if let Err(error) = runtime.turn(Some(timeout)) {
        assert!(is_invented(&error), "{error}");
    }
}
