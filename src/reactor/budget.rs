//! Layer 2: the cooperative budget, so that a source that is always ready yields.
//! Imports nothing. Invariant: outside a task's poll there is no limit, so a future of this crate
//! that is driven by something else never gets stuck; and whoever was put off goes on at the next
//! attempt, so that one future of a task cannot use up the budget of the others for ever.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::task::{Context, Poll};

/// Successful operations within one poll of a task before it has to yield.
///
/// Large enough that the detour (a wake and a place in the queue, 20–30 ns) is under 1 % of 32
/// system calls; small enough that a firehose lets its neighbours in after some 30 µs. See
/// `benches/fairness.rs`.
pub(crate) const OPERATIONS_PER_POLL: NonZeroU32 = NonZeroU32::new(32).expect("not zero");

/// Counts the operations that the task that is being polled has left.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// `None`: no task of the runtime is being polled, there is no limit.
    left: Cell<Option<u32>>,
}

impl Budget {
    /// Runs `poll`, a poll of one task, with a full budget.
    #[inline]
    pub(crate) fn limit<R>(&self, operations: u32, poll: impl FnOnce() -> R) -> R {
        /// Gives the outer poll its budget back, in a panic too.
        struct Restore<'b>(&'b Budget, Option<u32>);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.left.set(self.1);
            }
        }
        let _restore = Restore(self, self.left.replace(Some(operations)));
        poll()
    }

    /// Pending, with a wake-up on the way, if the budget is spent; but not twice in a row for who
    /// keeps `was_put_off`.
    #[inline]
    pub(crate) fn poll_proceed(&self, was_put_off: &Cell<bool>, cx: &mut Context<'_>) -> Poll<()> {
        let is_put_off = self.left.get() == Some(0) && !was_put_off.get();
        was_put_off.set(is_put_off);
        if is_put_off {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Counts one operation that succeeded.
    #[inline]
    pub(crate) fn spend(&self) {
        self.left.set(self.left.get().map(|left| left.saturating_sub(1)));
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
        assert_eq!(budget.limit(5, || operations_until_yield(&budget, 100)), 5);
        assert_eq!(operations_until_yield(&budget, 100), 100);
    }

    #[test]
    fn a_poll_inside_a_poll_leaves_the_outer_budget_as_it_was() {
        let budget = Budget::default();
        budget.limit(5, || {
            assert_eq!(budget.limit(2, || operations_until_yield(&budget, 100)), 2);
            assert_eq!(operations_until_yield(&budget, 100), 5);
        });
    }

    #[test]
    fn who_was_put_off_goes_on_at_the_next_attempt_and_is_then_put_off_again() {
        let budget = Budget::default();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        budget.limit(0, || {
            let was_put_off = Cell::new(false);
            let mut attempt = || budget.poll_proceed(&was_put_off, &mut cx).is_ready();
            assert_eq!([attempt(), attempt(), attempt(), attempt()], [false, true, false, true]);
        });
    }
}
