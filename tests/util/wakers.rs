//! Wakers of the tests' own.

#![allow(dead_code)] // No test binary needs all of it.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Wake, Waker};

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
