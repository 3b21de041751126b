//! Layer 0: what a loop notes of its own doings, if it is asked to: how long turns, waits and polls
//! take.
//! Limits: reads no clock, it is told the time; a loop that is not watched pays a branch a turn.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Notes of one loop.
pub(crate) struct Probe {
    started: Instant,
    is_timed: bool,
    /// The latest reading of the clock, in nanoseconds since the start.
    latest: Cell<u64>,
    /// When the latest wait ended, which is when its turn's work began.
    woken: Cell<u64>,
    times: Cell<Times>,
}

/// How long things took; in nanoseconds, except for the counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) turns: u64,
    pub(crate) idle: u64,
    pub(crate) busy: u64,
    pub(crate) in_polls: u64,
    pub(crate) longest_turn: u64,
    pub(crate) longest_poll: u64,
}

impl Probe {
    /// Of a loop that is made at `started`; `is_timed` if it is to measure times.
    pub(crate) fn new(started: Instant, is_timed: bool) -> Self {
        Self {
            started,
            is_timed,
            latest: Cell::new(0),
            woken: Cell::new(0),
            times: Cell::default(),
        }
    }

    /// True if polls are to be watched.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_timed
    }

    /// True if times are measured.
    pub(crate) fn is_timed(&self) -> bool {
        self.is_timed
    }

    /// When the loop was made.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Nanoseconds from the start to `time`.
    pub(crate) fn nanos(&self, time: Instant) -> u64 {
        let nanos = time.saturating_duration_since(self.started).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX - 1)
    }

    /// What has been measured, if anything is.
    pub(crate) fn times(&self) -> Option<Times> {
        self.is_timed.then(|| self.times.get())
    }

    /// The latest reading of the clock.
    pub(crate) fn latest(&self) -> u64 {
        self.latest.get()
    }

    fn read(&self, now: Instant) -> u64 {
        let now = self.nanos(now).max(self.latest.get());
        self.latest.set(now);
        now
    }

    fn update(&self, change: impl FnOnce(&mut Times)) {
        let mut times = self.times.get();
        change(&mut times);
        self.times.set(times);
    }

    /// The loop is about to look at the system, and perhaps to wait.
    #[inline]
    pub(crate) fn wait_begins(&self, now: impl FnOnce() -> Instant) {
        if self.is_on() {
            self.read(now());
        }
    }

    /// It has looked.
    #[inline]
    pub(crate) fn wait_ends(&self, now: impl FnOnce() -> Instant) {
        if self.is_on() {
            let began = self.latest.get();
            let now = self.read(now());
            self.woken.set(now);
            self.update(|times| times.idle += now - began);
        }
    }

    /// A poll has ended that began at `began`. Returns how long it took.
    pub(crate) fn poll_ends(&self, began: u64, now: Instant) -> Duration {
        let took = self.read(now) - began;
        self.update(|times| {
            times.in_polls += took;
            times.longest_poll = times.longest_poll.max(took);
        });
        Duration::from_nanos(took)
    }

    /// A turn has ended, with its last poll.
    #[inline]
    pub(crate) fn turn_ends(&self) {
        if self.is_on() {
            let took = self.latest.get() - self.woken.get();
            self.update(|times| {
                times.turns += 1;
                times.busy += took;
                times.longest_turn = times.longest_turn.max(took);
            });
        }
    }
}
