//! Layer 2: the cooperative budget, so that a source that is always ready yields.
//! Limits: one poll does at most twice the operations it is given, whatever the number of sources.
//! Invariant: outside a task's poll there is no limit; whoever was put off goes on later.

use std::cell::Cell;
use std::task::{Context, Poll};

/// Successful operations within one poll of a task before it has to yield.
///
/// Large enough that a firehose loses nothing by the detour (a wake and a place in the queue) that
/// can be measured; one after every operation costs it 8 %. Small enough that its neighbours in
/// the queue go on after some 30 µs, which is proportional; those that wait for I/O or the clock
/// wait for a whole turn of such polls. See
/// `cargo bench --bench fairness -- operations_per_poll`.
pub(crate) const OPERATIONS_PER_POLL: u32 = 32;

/// More than can be counted down.
const NO_LIMIT: i64 = i64::MAX;

/// Counts the operations that the task that is being polled has left.
///
/// A task may have many sources that are always ready, polled in an order that never changes. The
/// first of them uses up what is given; each of the others is put off, and goes on in a later poll
/// *beyond* that, one operation at a time, as many in one poll as were given. Those that have
/// waited longer go first: a source that was put off carries a stamp, the number of a round, and a
/// round ends when all those of the round before have been served.
#[derive(Debug)]
pub(crate) struct Budget {
    /// [`NO_LIMIT`] while no task of the runtime is being polled; negative once a source went on
    /// after it was put off.
    left: Cell<i64>,
    /// What each poll is given.
    given: Cell<i64>,
    round: Cell<u32>,
    /// Sources with a stamp of this round, and of an earlier one.
    stamped: Cell<u32>,
    stamped_earlier: Cell<u32>,
    /// Sources refused for those of an earlier round, none of which was served meanwhile.
    refused: Cell<u32>,
}

/// The round in which a direction of a source was put off; 0: it was not.
#[derive(Debug, Default)]
pub(crate) struct Stamp(Cell<u32>);

/// Lifts the limit when it is dropped: at the end of a batch of polls, in a panic too.
#[derive(Debug)]
#[must_use]
pub(crate) struct Limited<'b>(&'b Budget);

impl Drop for Limited<'_> {
    fn drop(&mut self) {
        self.0.left.set(NO_LIMIT);
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: Cell::new(NO_LIMIT),
            given: Cell::new(OPERATIONS_PER_POLL.into()),
            round: Cell::new(1),
            stamped: Cell::new(0),
            stamped_earlier: Cell::new(0),
            refused: Cell::new(0),
        }
    }
}

impl Budget {
    /// The next task is about to be polled: it has this many operations.
    #[inline]
    pub(crate) fn refill(&self, operations: i64) {
        self.left.set(operations);
    }

    /// Begins a batch of polls that are given `operations` each; at its end, when the guard is
    /// dropped, the limit is lifted.
    pub(crate) fn limited(&self, operations: i64) -> Limited<'_> {
        self.given.set(operations);
        Limited(self)
    }

    /// Lifts the limit within a poll: the loop of another runtime runs inside it, whose tasks would
    /// be put off for as long as that goes on. Returns what [`resume`](Self::resume) needs.
    pub(crate) fn suspend(&self) -> i64 {
        self.left.replace(NO_LIMIT)
    }

    /// The poll goes on.
    pub(crate) fn resume(&self, left: i64) {
        self.left.set(left);
    }

    /// How many operations the poll that has ended has done, of those it was given.
    #[inline]
    pub(crate) fn used_of(&self, given: i64) -> i64 {
        given - self.left.get()
    }

    /// True if an operation may be done that counts, but belongs to no source.
    #[inline]
    pub(crate) fn has_left(&self) -> bool {
        self.left.get() > 0
    }

    /// Pending, with a wake-up on the way, if the budget is spent; but not for ever.
    #[inline]
    pub(crate) fn poll_proceed(&self, stamp: &Stamp, cx: &mut Context<'_>) -> Poll<()> {
        if self.may_proceed(stamp) {
            return Poll::Ready(());
        }
        self.poll_stamped(stamp, cx)
    }

    /// True if an operation may be done, and nothing stands in its way.
    #[inline]
    pub(crate) fn may_proceed(&self, stamp: &Stamp) -> bool {
        self.left.get() > 0 && stamp.0.get() == 0
    }

    #[cold]
    fn poll_stamped(&self, stamp: &Stamp, cx: &mut Context<'_>) -> Poll<()> {
        if self.may_go_on(stamp) {
            self.forget(stamp);
            return Poll::Ready(());
        }
        if stamp.0.get() == 0 {
            stamp.0.set(self.round.get());
            self.stamped.set(self.stamped.get() + 1);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn may_go_on(&self, stamp: &Stamp) -> bool {
        let left = self.left.get();
        if left > 0 {
            return true;
        }
        if stamp.0.get() == 0 || left <= -self.given.get() {
            return false;
        }
        if stamp.0.get() != self.round.get() || self.stamped_earlier.get() == 0 {
            return true;
        }
        // Those of the earlier round go first; unless none of them is polled any more.
        self.refused.set(self.refused.get() + 1);
        if self.refused.get() <= self.stamped.get() + self.stamped_earlier.get() {
            return false;
        }
        self.begin_round();
        true
    }

    /// All that have a stamp by now go before those that get one from here on.
    fn begin_round(&self) {
        self.stamped_earlier.set(self.stamped_earlier.get() + self.stamped.take());
        self.round.set(self.round.get().wrapping_add(1).max(1));
        self.refused.set(0);
    }

    /// Takes the stamp away, of a source that goes on or goes away.
    pub(crate) fn forget(&self, stamp: &Stamp) {
        match stamp.0.replace(0) {
            0 => return,
            round if round == self.round.get() => self.stamped.set(self.stamped.get() - 1),
            _ => {
                self.stamped_earlier.set(self.stamped_earlier.get() - 1);
                self.refused.set(0);
            }
        }
        if self.stamped_earlier.get() == 0 {
            self.begin_round();
        }
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
    use std::task::Waker;

    /// Polls `stamps` in order, each until it is put off; returns what each one did.
    fn poll(budget: &Budget, given: i64, stamps: &[Stamp], most: usize) -> Vec<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        let _limited = budget.limited(given);
        budget.refill(given);
        let mut operations = |stamp| {
            let proceed = |_: &usize| {
                let is_ready = budget.poll_proceed(stamp, &mut cx).is_ready();
                is_ready.then(|| budget.spend()).is_some()
            };
            (0..most).take_while(proceed).count()
        };
        stamps.iter().map(&mut operations).collect()
    }

    fn stamps<const N: usize>() -> [Stamp; N] {
        [(); N].map(|()| Stamp::default())
    }

    #[test]
    fn a_poll_yields_when_its_operations_are_spent_and_outside_there_is_no_limit() {
        let (budget, [one]) = (Budget::default(), stamps());
        assert_eq!(poll(&budget, 5, &[one], 100), [5]);
        let mut cx = Context::from_waker(Waker::noop());
        let [other] = stamps();
        assert!((0..100).all(|_| budget.poll_proceed(&other, &mut cx).is_ready()));
    }

    #[test]
    fn who_was_put_off_goes_on_in_a_later_poll_though_another_uses_up_the_budget() {
        let (budget, all) = (Budget::default(), stamps::<3>());
        assert_eq!(poll(&budget, 4, &all, 100), [4, 0, 0]);
        assert_eq!(poll(&budget, 4, &all, 100), [4, 1, 1]);
    }

    #[test]
    fn a_poll_is_bounded_and_fair_however_many_sources_it_has() {
        let (budget, all) = (Budget::default(), stamps::<100>());
        let mut done = [0; 100];
        for round in 0..200 {
            let operations = poll(&budget, 8, &all, 1000);
            assert!(operations.iter().sum::<usize>() <= 16, "poll {round}: {operations:?}");
            for (done, operations) in done.iter_mut().zip(operations) {
                *done += operations;
            }
        }
        // 200 polls serve eight of them each beyond the budget.
        assert!(done.iter().all(|done| *done >= 8), "{done:?}");
    }

    #[test]
    fn a_source_that_is_never_polled_again_does_not_hold_the_others_up() {
        let (budget, all) = (Budget::default(), stamps::<6>());
        poll(&budget, 2, &all, 100);
        poll(&budget, 2, &all, 100);
        let mut done = [0; 5];
        for _ in 0..100 {
            for (done, operations) in done.iter_mut().zip(poll(&budget, 2, &all[..5], 100)) {
                *done += operations;
            }
        }
        assert!(done.iter().all(|done| *done >= 10), "{done:?}");
    }

    #[test]
    fn a_source_that_goes_away_takes_its_stamp_along() {
        let (budget, all) = (Budget::default(), stamps::<6>());
        poll(&budget, 2, &all, 100);
        all.iter().for_each(|stamp| budget.forget(stamp));
        assert_eq!((budget.stamped.get(), budget.stamped_earlier.get()), (0, 0));
    }
}
