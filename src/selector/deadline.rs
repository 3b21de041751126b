//! Layer 1: the end of a wait, fixed once, however often the wait is begun again.
//! Imports nothing. Invariant: no arithmetic here can overflow.

use std::time::{Duration, Instant};

/// When a select has to return though nothing happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deadline {
    /// At once: the caller polls.
    Now,
    At(Instant),
    Never,
}

impl Deadline {
    /// `None`, and what lies beyond the clock's range, is never.
    pub(super) fn after(timeout: Option<Duration>) -> Self {
        match timeout {
            Some(Duration::ZERO) => Self::Now,
            Some(timeout) => Instant::now().checked_add(timeout).map_or(Self::Never, Self::At),
            None => Self::Never,
        }
    }

    /// What is left of the timeout; zero once the deadline has passed.
    pub(super) fn remaining(self) -> Option<Duration> {
        match self {
            Self::Now => Some(Duration::ZERO),
            Self::At(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            Self::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_timeout_is_never_and_zero_is_now() {
        assert!(matches!(Deadline::after(Some(Duration::MAX)), Deadline::Never));
        assert!(matches!(Deadline::after(None), Deadline::Never));
        assert_eq!(Deadline::after(Some(Duration::ZERO)).remaining(), Some(Duration::ZERO));
    }
}
