//! Layer 4: a deadline after the other.
//! Invariant: ticks are multiples of the period from the start, except under
//! [`MissedTicks::Delay`].

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::{FusedStream, Stream};

use super::clock::now;
use super::timer::Timer;

/// What an [`Interval`] does about ticks that were due while nobody looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissedTicks {
    /// Makes them up, one right after the other, until it is back in time.
    #[default]
    Burst,
    /// Begins to count the period anew at each tick that comes late: two ticks are never less than
    /// a period apart.
    Delay,
    /// Leaves them out, and goes on with the next tick that is still to come.
    Skip,
}

/// Ticks now, and from then on every `period`.
///
/// # Panics
/// If `period` is zero; and as [`Sleep`](super::Sleep).
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(now(), period)
}

/// Ticks at `start`, and from then on every `period`.
///
/// # Panics
/// As [`interval`].
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval's period is zero; it must be a nanosecond or more");
    Interval { timer: Timer::at(start), period, missed: MissedTicks::default() }
}

/// Ticks at regular times: a stream of the instants at which its ticks were due. It never ends.
#[derive(Debug)]
#[must_use = "an interval does nothing unless its ticks are awaited"]
pub struct Interval {
    timer: Timer,
    period: Duration,
    missed: MissedTicks,
}

impl Interval {
    /// The same interval with another policy for missed ticks. Usually they come in a
    /// [`Burst`](MissedTicks::Burst).
    pub fn missed_ticks(mut self, policy: MissedTicks) -> Self {
        self.set_missed_ticks(policy);
        self
    }

    /// Takes another policy for missed ticks.
    pub fn set_missed_ticks(&mut self, policy: MissedTicks) {
        self.missed = policy;
    }

    /// The time between two ticks.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// The next tick comes a period from now, and the others follow it.
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// The next tick comes at once, and the others follow it.
    pub fn reset_immediately(&mut self) {
        self.timer.set_at(now());
    }

    /// The next tick comes when `duration` has passed from now, and the others follow it.
    pub fn reset_after(&mut self, duration: Duration) {
        match now().checked_add(duration) {
            Some(deadline) => self.timer.set_at(deadline),
            None => self.timer.set_never(),
        }
    }

    /// The next tick comes at `deadline`, and the others follow it.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.timer.set_at(deadline);
    }

    /// Waits for the next tick; returns when it was due.
    ///
    /// # Cancel safety
    /// May be dropped at any time: no tick is lost by it.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// As [`tick`](Self::tick), for hand-written futures.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let due = ready!(Pin::new(&mut self.timer).poll(cx));
        match next_tick(due, now(), self.period, self.missed) {
            Some(next) => self.timer.set_at(next),
            None => self.timer.set_never(),
        }
        Poll::Ready(due)
    }
}

impl Stream for Interval {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.poll_tick(cx).map(Some)
    }
}

impl FusedStream for Interval {
    /// False: it never ends.
    fn is_terminated(&self) -> bool {
        false
    }
}

/// When to tick after the tick of `due`, at `now`; `None`: beyond the clock's range.
fn next_tick(due: Instant, now: Instant, period: Duration, missed: MissedTicks) -> Option<Instant> {
    if missed == MissedTicks::Delay {
        return due.max(now).checked_add(period);
    }
    let next = due.checked_add(period)?;
    if next > now || missed == MissedTicks::Burst {
        return Some(next);
    }
    let late = now.saturating_duration_since(due).as_nanos() % period.as_nanos();
    // Less than a period, and a period that was ever missed fits into 64 bits.
    let late = Duration::from_nanos(u64::try_from(late).unwrap_or(u64::MAX));
    now.checked_add(period.saturating_sub(late))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);

    fn after(late: Duration, missed: MissedTicks) -> Duration {
        let due = now();
        let next = next_tick(due, due + late, PERIOD, missed).expect("in the clock's range");
        next.saturating_duration_since(due)
    }

    #[test]
    fn a_tick_in_time_is_followed_a_period_later_whatever_the_policy() {
        for policy in [MissedTicks::Burst, MissedTicks::Delay, MissedTicks::Skip] {
            assert_eq!(after(Duration::ZERO, policy), PERIOD);
        }
    }

    #[test]
    fn under_delay_a_tick_that_is_a_little_late_is_followed_a_whole_period_later() {
        let late = Duration::from_millis(3);
        assert_eq!(after(late, MissedTicks::Delay), late + PERIOD);
        assert_eq!(after(late, MissedTicks::Burst), PERIOD);
        assert_eq!(after(late, MissedTicks::Skip), PERIOD);
    }

    #[test]
    fn missed_ticks_come_at_once_or_later_or_never() {
        let late = Duration::from_millis(25);
        assert_eq!(after(late, MissedTicks::Burst), PERIOD);
        assert_eq!(after(late, MissedTicks::Delay), late + PERIOD);
        assert_eq!(after(late, MissedTicks::Skip), Duration::from_millis(30));
        assert_eq!(after(PERIOD, MissedTicks::Skip), 2 * PERIOD);
    }

    #[test]
    fn the_longest_period_does_not_overflow() {
        let due = now();
        assert_eq!(next_tick(due, due, Duration::MAX, MissedTicks::Skip), None);
    }
}
