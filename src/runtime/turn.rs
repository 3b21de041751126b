//! Layer 4: what one go round the loop did.

/// What a [`turn`](crate::Runtime::turn) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// How many sources had an event, as far as the back end tells each of them once.
    pub events: usize,
    /// How many timers were due.
    pub timers: usize,
    /// How many times a task was polled.
    pub polls: usize,
    /// True if tasks are left that can go on, or timers that are due: take another turn before you
    /// block. (A loop that blocks on the runtime's descriptor is woken for it at once.)
    pub more: bool,
}

impl Turn {
    /// True if the turn found nothing to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what a later turn did, and takes over whether that has left something to do.
    pub(super) fn add(&mut self, later: Self) {
        let Self { events, timers, polls, more } = later;
        self.events += events;
        self.timers += timers;
        self.polls += polls;
        self.more = more;
    }
}
