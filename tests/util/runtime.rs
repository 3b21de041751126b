//! Helpers of the tests of the runtime.

#![allow(dead_code)] // No test binary needs all of it.

mod wakers;

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use selkie::{Builder, Runtime, Turn, timeout};

#[allow(unused_imports)]
pub use self::wakers::{Bomb, Wakes};
use crate::backends::Parked;
use crate::liar;

/// For what has to happen. Only a failing test waits for it, so it is longer than any machine
/// under load needs.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// A runtime with the usual settings, on the back end that `SELKIE_BACKEND` names.
pub fn runtime() -> Runtime {
    build(Builder::new())
}

/// As [`runtime`], with other settings. It lies if it has to, see [`liar`]; Miri knows no epoll:
/// there, a back end without I/O.
pub fn build(builder: Builder) -> Runtime {
    let built = if cfg!(miri) { builder.build_with(Parked::open()) } else { liar::build(builder) };
    built.expect("a runtime can be made")
}

/// The value of `future`, on a runtime of its own.
#[track_caller]
pub fn run<F: Future>(future: F) -> F::Output {
    run_on(&runtime(), future)
}

/// The value of `future` on `runtime`; panics if it has none within [`DEADLINE`].
#[track_caller]
pub fn run_on<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    let ended = runtime.block_on(timeout(DEADLINE, future));
    ended.unwrap_or_else(|_| panic!("the future has not ended within {DEADLINE:?}"))
}

/// Takes turns until `done`, which has to be before [`DEADLINE`]. Whatever makes it so has to
/// end the turn's wait.
#[track_caller]
pub fn turn_until(runtime: &Runtime, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !done() {
        let left = end.saturating_duration_since(Instant::now());
        runtime.turn(Some(left)).expect("the driver works");
        assert!(Instant::now() < end, "no turn found it within {DEADLINE:?}");
    }
}

/// Takes turns until there is nothing left to do.
#[track_caller]
pub fn settle(runtime: &Runtime) {
    for _ in 0..1_000 {
        if runtime.turn(Some(Duration::ZERO)).expect("the driver works") == Turn::default() {
            return;
        }
    }
    panic!("every one of 1000 turns found something to do");
}

/// True if `fd` is readable now.
pub fn is_readable(fd: impl AsFd) -> bool {
    poll_for(fd, Duration::ZERO)
}

/// Waits until `fd` is readable, at most for [`DEADLINE`].
#[track_caller]
pub fn wait_until_readable(fd: impl AsFd) {
    assert!(poll_for(fd, DEADLINE), "not readable within {DEADLINE:?}");
}

fn poll_for(fd: impl AsFd, timeout: Duration) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let timeout = Timespec::try_from(timeout).expect("a short time");
    poll(&mut fds, Some(&timeout)).expect("poll works") > 0
}

/// What happened, in order.
#[derive(Clone, Default)]
pub struct Trace(Rc<RefCell<Vec<&'static str>>>);

impl Trace {
    pub fn add(&self, what: &'static str) {
        self.0.borrow_mut().push(what);
    }

    /// What happened since the last call.
    pub fn take(&self) -> Vec<&'static str> {
        self.0.take()
    }
}

/// Calls a function when it is dropped.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The message that `f` panics with.
#[track_caller]
pub fn panic_text<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it should have panicked"),
        Err(payload) => text_of(&*payload),
    }
}

/// The message of a panic.
pub fn text_of(payload: &(dyn Any + Send)) -> String {
    let literal = payload.downcast_ref::<&str>().map(ToString::to_string);
    literal.or_else(|| payload.downcast_ref::<String>().cloned()).expect("a message")
}
