//! Layer 5: a piece of work, and its outcome on the way to the one who awaits it.
//! Invariant: no panic of user code gets out of a job, whether it comes from the work, from a value
//! that nobody waits for, or from a waker.

use super::slot::{Filler, Outcome};
use crate::panics::{catch, discard};

/// What a thread of the pool runs; neither step unwinds.
pub(super) trait Job: Send {
    /// Does the work.
    fn run(&mut self);

    /// Hands the outcome over, and wakes who waits for it.
    fn deliver(self: Box<Self>);
}

/// Undone ─run→ Done ─deliver→ gone
pub(super) struct Work<F, T> {
    work: Option<F>,
    outcome: Option<Outcome<T>>,
    filler: Filler<T>,
}

impl<F, T> Work<F, T> {
    pub(super) fn new(work: F, filler: Filler<T>) -> Self {
        Self { work: Some(work), outcome: None, filler }
    }
}

impl<F, T> Job for Work<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(&mut self) {
        let Some(work) = self.work.take() else { return };
        let outcome = match catch(work) {
            Ok(value) => Outcome::Returned(value),
            Err(payload) => Outcome::Panicked(payload),
        };
        if self.filler.is_awaited() {
            self.outcome = Some(outcome);
        } else {
            // It may take its time; the thread is still taken for busy.
            contain(|| drop(outcome));
        }
    }

    fn deliver(mut self: Box<Self>) {
        if let Some(outcome) = self.outcome.take() {
            contain(|| self.filler.fill(outcome));
        }
    }
}

/// Runs `f`. Its panic, and that of its payload's destructor, ends here.
pub(super) fn contain(f: impl FnOnce()) {
    if let Err(payload) = catch(f) {
        discard(payload);
    }
}
