//! Layer 3: what a loop has done so far, in numbers that only grow.

use std::cell::Cell;

/// Counts of one executor, and of the loop that drives it.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) turns: Counter,
    pub(crate) polls: Counter,
    pub(crate) events: Counter,
    pub(crate) timers: Counter,
    /// Wake-ups of tasks, and new tasks, from other threads.
    pub(crate) remote: Counter,
    /// Tasks whose futures are gone.
    pub(crate) ended: Counter,
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(Cell<u64>);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, count: usize) {
        self.0.set(self.0.get().wrapping_add(count as u64));
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}
