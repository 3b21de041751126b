//! Layer 2: one who waits for a source, and those who are woken.

use std::task::Waker;
use std::thread;

use crate::panics::FirstPanic;

/// Names a waiter that can leave before its event, so that two futures of one task, whose wakers
/// are alike, do not take each other's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterId(pub(super) u64);

/// How a waiter is known.
pub(crate) enum Waiter<'w> {
    /// By the name that is kept in the future; given at its first wait.
    Named(&'w mut Option<WaiterId>),
    /// By its waker: the caller of a `poll_*` function, who cannot say that it leaves.
    Anonymous,
}

/// What a new waiter has moved.
#[derive(Default)]
pub(super) struct Moved {
    /// The waker whose place it took; to be dropped.
    pub(super) replaced: Option<Waker>,
    /// Those who lost their places, or are asked whether they still wait; to be woken.
    pub(super) woken: Vec<Waker>,
}

impl Moved {
    /// Drops and wakes, which may run user code.
    #[inline]
    pub(super) fn settle(mut self) {
        drop(self.replaced.take());
        if !self.woken.is_empty() {
            wake_all(&mut self.woken);
        }
    }
}

/// Wakes all of `due`, the others too if a waker panics; the first panic goes on at the end.
#[inline]
pub(super) fn wake_all(due: &mut Vec<Waker>) {
    // A single panic goes on by itself; but in a panic it would end the process.
    if due.len() > 1 || thread::panicking() {
        wake_several(due);
    } else if let Some(waker) = due.pop() {
        waker.wake();
    }
}

fn wake_several(due: &mut Vec<Waker>) {
    let mut panics = FirstPanic::default();
    // To pop costs less than to drain.
    due.reverse();
    while !panics.watch(|| {
        while let Some(waker) = due.pop() {
            waker.wake()
        }
    }) {}
    panics.resume();
}

/// A waker that does nothing, and is no other one.
#[cfg(test)]
pub(super) fn waker_of_its_own() -> Waker {
    struct OfItsOwn;
    impl std::task::Wake for OfItsOwn {
        fn wake(self: std::sync::Arc<Self>) {}
    }
    std::sync::Arc::new(OfItsOwn).into()
}
