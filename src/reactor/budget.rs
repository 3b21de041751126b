//! Layer 2: the cooperative budget, so that a source that is always ready yields.
//! Imports nothing. Invariant: outside a task's poll there is no limit, so a future of this crate
//! that is driven by something else never gets stuck; and whoever was put off goes on at the next
//! attempt, so that one future of a task cannot use up the budget of the others for ever.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::task::{Context, Poll};

/// Successful operations within one poll of a task before it has to yield.
///
/// Large enough that a firehose loses nothing by the detour (a wake and a place in the queue) that
/// can be measured; one after every operation costs it 8 %. Small enough that its neighbours in
/// the queue go on after some 30 µs, which is proportional; those that wait for I/O or the clock
/// wait for a whole turn of such polls. See
/// `cargo bench --bench fairness -- operations_per_poll`.
pub(crate) const OPERATIONS_PER_POLL: NonZeroU32 = NonZeroU32::new(32).expect("not zero");

/// Counts the operations that the task that is being polled has left.
#[derive(Debug)]
pub(crate) struct Budget {
    /// [`NO_LIMIT`] while no task of the runtime is being polled; negative if one went on after
    /// it was put off.
    left: Cell<i64>,
}

/// Lifts the limit when it is dropped: at the end of a batch of polls, in a panic too.
#[derive(Debug)]
#[must_use]
pub(crate) struct Limited<'b>(&'b Budget);

impl Drop for Limited<'_> {
    fn drop(&mut self) {
        self.0.left.set(NO_LIMIT);
    }
}

/// More than can be counted down.
const NO_LIMIT: i64 = i64::MAX;

impl Default for Budget {
    fn default() -> Self {
        Self { left: Cell::new(NO_LIMIT) }
    }
}

impl Budget {
    /// The next task is about to be polled: it has this many operations.
    #[inline]
    pub(crate) fn refill(&self, operations: i64) {
        self.left.set(operations);
    }

    /// Begins a batch of polls; at its end, when the guard is dropped, the limit is lifted.
    pub(crate) fn limited(&self) -> Limited<'_> {
        Limited(self)
    }

    /// How many operations the poll that has ended has done, of those it was given; one more if it
    /// went on after it was put off.
    #[inline]
    pub(crate) fn used_of(&self, given: i64) -> i64 {
        given - self.left.get()
    }

    /// Pending, with a wake-up on the way, if the budget is spent; but not twice in a row for who
    /// keeps `was_put_off`.
    #[inline]
    pub(crate) fn poll_proceed(&self, was_put_off: &Cell<bool>, cx: &mut Context<'_>) -> Poll<()> {
        if self.left.get() <= 0 { self.put_off(was_put_off, cx) } else { Poll::Ready(()) }
    }

    #[cold]
    fn put_off(&self, was_put_off: &Cell<bool>, cx: &mut Context<'_>) -> Poll<()> {
        if was_put_off.replace(!was_put_off.get()) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Counts one operation that succeeded.
    #[inline]
    pub(crate) fn spend(&self) {
        self.left.set(self.left.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations_until_yield(budget: &Budget, most: usize) -> usize {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let proceed = |_: &usize| {
            let ready = budget.poll_proceed(&Cell::new(false), &mut cx).is_ready();
            budget.spend();
            ready
        };
        (0..most).take_while(proceed).count()
    }

    #[test]
    fn a_poll_yields_when_its_operations_are_spent_and_outside_there_is_no_limit() {
        let budget = Budget::default();
        {
            let _batch = budget.limited();
            budget.refill(5);
            assert_eq!(operations_until_yield(&budget, 100), 5);
            budget.refill(2);
            assert_eq!(operations_until_yield(&budget, 100), 2);
        }
        assert_eq!(operations_until_yield(&budget, 100), 100);
    }

    #[test]
    fn who_was_put_off_goes_on_at_the_next_attempt_and_is_then_put_off_again() {
        let budget = Budget::default();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        budget.refill(0);
        let was_put_off = Cell::new(false);
        let mut attempt = || budget.poll_proceed(&was_put_off, &mut cx).is_ready();
        assert_eq!([attempt(), attempt(), attempt(), attempt()], [false, true, false, true]);
    }
}
