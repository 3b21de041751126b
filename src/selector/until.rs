//! Layer 1: the end of a wait, fixed once, however often the wait is begun again.
//! Reads no clock: it is told the present. Invariant: no arithmetic here can overflow.

use std::time::{Duration, Instant};

/// When a wait has to return though nothing happened.
///
/// A deadline, not a duration: a wait that is begun again ends at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At once: the wait only looks. No clock is read for it.
    Now,
    /// At a time of the back end's clock.
    At {
        /// When to return.
        deadline: Instant,
        /// What the caller last read on that clock, so that nobody need read it again.
        now: Instant,
    },
    /// Never.
    Never,
}

impl Until {
    /// The end of a wait of `timeout`, as [`select`](super::Selector::select) takes it. Asks for
    /// `now` only if it depends on it.
    ///
    /// `None`, and what lies beyond the clock's range, is [`Never`](Self::Never).
    pub fn after(timeout: Option<Duration>, now: impl FnOnce() -> Instant) -> Self {
        match timeout {
            Some(Duration::ZERO) => Self::Now,
            Some(timeout) => {
                let now = now();
                now.checked_add(timeout).map_or(Self::Never, |deadline| Self::At { deadline, now })
            }
            None => Self::Never,
        }
    }

    /// The same, but no longer than `longest` from now: for a wrapper that has to look at
    /// something else in between. Asks for `now` only if `self` does not know it.
    #[must_use]
    pub fn at_most(self, longest: Duration, now: impl FnOnce() -> Instant) -> Self {
        match self {
            Self::Now => Self::Now,
            Self::At { deadline, now } => match Self::after(Some(longest), || now) {
                Self::At { deadline: sooner, .. } => {
                    Self::At { deadline: deadline.min(sooner), now }
                }
                Self::Now => Self::Now,
                Self::Never => self,
            },
            Self::Never => Self::after(Some(longest), now),
        }
    }

    /// How long that is, exactly; zero once the deadline has passed, `None` for ever.
    #[must_use]
    pub fn timeout(self) -> Option<Duration> {
        match self {
            Self::Now => Some(Duration::ZERO),
            Self::At { deadline, now } => Some(deadline.saturating_duration_since(now)),
            Self::Never => None,
        }
    }

    /// True if the wait only looks.
    #[must_use]
    pub fn is_now(self) -> bool {
        self.timeout() == Some(Duration::ZERO)
    }

    /// The same end, seen from another present.
    #[must_use]
    pub(super) fn seen_at(self, now: impl FnOnce() -> Instant) -> Self {
        match self {
            Self::At { deadline, .. } => Self::At { deadline, now: now() },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// For a clock that nobody may read.
    fn unread() -> Instant {
        panic!("the clock was read")
    }

    #[test]
    fn the_longest_timeout_is_never_and_zero_is_now() {
        assert_eq!(Until::after(Some(Duration::MAX), Instant::now), Until::Never);
        assert_eq!(Until::after(None, unread), Until::Never);
        assert_eq!(Until::after(Some(Duration::ZERO), unread), Until::Now);
        assert_eq!(Until::Never.timeout(), None);
        assert_eq!(Until::Now.timeout(), Some(Duration::ZERO));
    }

    #[test]
    fn a_deadline_that_has_passed_is_no_time_away() {
        let now = Instant::now();
        let until = Until::after(Some(SECOND), || now);
        assert_eq!(until.timeout(), Some(SECOND));
        assert_eq!(until.seen_at(|| now + SECOND / 4).timeout(), Some(SECOND / 4 * 3));
        assert!(!until.is_now() && until.seen_at(|| now + 2 * SECOND).is_now());
        assert_eq!(Until::Never.seen_at(unread), Until::Never);
    }

    #[test]
    fn a_wrapper_can_shorten_a_wait_but_not_lengthen_it() {
        let now = Instant::now();
        let until = Until::after(Some(SECOND), || now);
        assert_eq!(until.at_most(SECOND / 2, unread).timeout(), Some(SECOND / 2));
        assert_eq!(until.at_most(2 * SECOND, unread), until);
        assert_eq!(until.at_most(Duration::MAX, unread), until);
        assert_eq!(until.at_most(Duration::ZERO, unread), Until::Now);
        assert_eq!(Until::Now.at_most(SECOND, unread), Until::Now);
        assert_eq!(Until::Never.at_most(SECOND, || now), until);
        assert_eq!(Until::Never.at_most(Duration::ZERO, unread), Until::Now);
    }
}
