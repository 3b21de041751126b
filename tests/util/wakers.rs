//! Wakers of the tests' own.

#![allow(dead_code)] // No test binary needs all of it.

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{RawWaker, RawWakerVTable, Wake, Waker};

/// Wakers that count how often they are woken.
#[derive(Default)]
pub struct Wakes(AtomicUsize);

impl Wakes {
    pub fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self::default());
        (Arc::clone(&wakes), wakes.into())
    }

    pub fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Panics when it is woken.
pub struct Bomb;

impl Bomb {
    pub fn waker() -> Waker {
        Arc::new(Self).into()
    }
}

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        resume_unwind(Box::new("the waker's panic"));
    }
}

thread_local! {
    /// What the next clone of an eventful waker does.
    static ON_CLONE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    /// How often such a waker was woken.
    static WOKEN: Cell<usize> = const { Cell::new(0) };
}

/// A waker whose clone first does `act`, once. A thread has one at a time.
pub fn eventful(act: impl FnOnce() + 'static) -> Waker {
    fn clone(data: *const ()) -> RawWaker {
        if let Some(act) = ON_CLONE.take() {
            act();
        }
        RawWaker::new(data, &VTABLE)
    }
    fn wake(_: *const ()) {
        WOKEN.set(WOKEN.get() + 1);
    }
    static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, |_| {});
    ON_CLONE.set(Some(Box::new(act)));
    // SAFETY: the functions use no data, and may be called on any thread.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &VTABLE)) }
}

/// True if the eventful waker of this thread was cloned.
pub fn eventful_was_cloned() -> bool {
    ON_CLONE.with_borrow(Option::is_none)
}

/// How often eventful wakers of this thread were woken.
pub fn eventful_wakes() -> usize {
    WOKEN.get()
}
