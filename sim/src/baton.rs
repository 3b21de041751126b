//! The baton: of all threads of a simulation, the one that has it runs.
//! Invariant: a baton is given to one seat at a time, and taken once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

/// Where a thread waits for the baton.
#[derive(Default)]
pub(crate) struct Seat {
    has_baton: AtomicBool,
    waiting: Mutex<Option<Thread>>,
}

impl Seat {
    /// Hands the baton to who sits here, now or later.
    pub(crate) fn give(&self) {
        self.has_baton.store(true, Ordering::Release);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(thread) = waiting {
            thread.unpark();
        }
    }

    /// Says who sits here. Before the first `give`, or by the thread itself.
    pub(crate) fn sit(&self) {
        let thread = thread::current();
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    }

    /// Waits for the baton.
    pub(crate) fn wait(&self) {
        while !self.has_baton.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }

    /// Waits for the baton, at most so long in real time. True if it came.
    pub(crate) fn wait_for(&self, time: Duration) -> bool {
        if self.has_baton.swap(false, Ordering::Acquire) {
            return true;
        }
        thread::park_timeout(time);
        self.has_baton.swap(false, Ordering::Acquire)
    }
}
