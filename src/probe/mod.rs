//! Layer 0: what a loop notes of its own doings: how long turns, waits and polls take, if it is asked
//! to, and the flight recorder and `tracing`, if they are built in.
//! Limits: reads no clock, it is told the time; a loop that is not watched pays a branch a turn.

#[cfg(feature = "record")]
mod record;
#[cfg_attr(not(feature = "record"), path = "no_ring.rs")]
mod ring;
#[cfg_attr(not(feature = "tracing"), path = "no_span.rs")]
mod span;
#[cfg_attr(not(feature = "record"), path = "no_ticks.rs")]
mod ticks;

use std::borrow::Cow;
use std::cell::Cell;
use std::panic::Location;
use std::time::{Duration, Instant};

#[cfg(feature = "record")]
pub(crate) use self::record::{Kind, LOOP, OUTSIDE, Record, unpack_duration};
#[cfg(feature = "record")]
pub(crate) use self::ring::Recorded;
pub(crate) use self::span::{Inside, TaskSpan, tell_turn};

use self::ring::Ring;
use self::ticks::Ticks;

/// Records that a recorder keeps, unless it is told otherwise: a MiB, the last tenth of a second of
/// an echo server that has much to do, and hours of a quiet program.
pub(crate) const RECORDS: usize = 1 << 16;

/// What a loop is to note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notes {
    pub(crate) times: bool,
    /// How many records are kept, if there is a recorder.
    pub(crate) records: usize,
    /// The loop's clock is the system's.
    pub(crate) has_systems_clock: bool,
}

/// Notes of one loop.
pub(crate) struct Probe {
    started: Instant,
    is_timed: bool,
    /// What is read instead of the clock; `None`: the clock is, as if times are measured.
    ticks: Option<Ticks>,
    /// The latest reading of the clock, in nanoseconds since the start, or in ticks.
    latest: Cell<u64>,
    /// When the latest wait ended, which is when its turn's work began.
    woken: Cell<u64>,
    times: Cell<Times>,
    ring: Ring,
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
    /// Of a loop that is made now.
    pub(crate) fn new(now: impl FnOnce() -> Instant, notes: Notes) -> Self {
        let ticks = if notes.has_systems_clock && !notes.times { Ticks::begin() } else { None };
        Self {
            // Right after the ticks have begun, which are counted in parts of this time.
            started: now(),
            is_timed: notes.times,
            ticks,
            latest: Cell::new(0),
            woken: Cell::new(0),
            times: Cell::default(),
            ring: Ring::new(notes.records),
        }
    }

    /// True if polls are to be watched.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        cfg!(feature = "tracing") || self.reads_clock()
    }

    #[inline]
    fn reads_clock(&self) -> bool {
        cfg!(feature = "record") || self.is_timed
    }

    /// True if times are measured.
    #[inline]
    pub(crate) fn is_timed(&self) -> bool {
        self.is_timed
    }

    /// When the loop was made.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Nanoseconds from the start to `time`.
    pub(crate) fn nanos(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.started);
        // Five centuries; a number of 128 bits takes longer.
        since.as_secs().wrapping_mul(1_000_000_000).wrapping_add(since.subsec_nanos().into())
    }

    /// What has been measured, if anything is.
    pub(crate) fn times(&self) -> Option<Times> {
        self.is_timed.then(|| self.times.get())
    }

    /// The latest reading of the clock.
    #[inline]
    pub(crate) fn latest(&self) -> u64 {
        self.latest.get()
    }

    #[inline]
    fn read(&self, now: impl FnOnce() -> Instant) -> u64 {
        let latest = self.latest.get();
        let now = match &self.ticks {
            Some(ticks) => ticks.now(latest),
            None => self.nanos(now()).max(latest),
        };
        self.latest.set(now);
        now
    }

    #[inline]
    fn update(&self, change: impl FnOnce(&mut Times)) {
        if self.is_timed {
            let mut times = self.times.get();
            change(&mut times);
            self.times.set(times);
        }
    }

    /// The loop is about to look at the system, and perhaps to wait.
    #[inline]
    pub(crate) fn wait_begins(&self, now: impl FnOnce() -> Instant) {
        if self.reads_clock() {
            self.read(now);
        }
    }

    /// A source has an event.
    #[inline]
    pub(crate) fn event(&self, fd: i32, readiness: u8) {
        self.ring.event(self.latest(), fd, readiness);
    }

    /// The loop has looked, and found so many events.
    #[inline]
    pub(crate) fn wait_ends(&self, now: impl FnOnce() -> Instant, events: usize) {
        if self.reads_clock() {
            let began = self.latest.get();
            let now = self.read(now);
            self.woken.set(now);
            self.update(|times| times.idle += now - began);
            self.ring.waited(began, now, events);
        }
    }

    /// So many timers were due, of which the earliest was due at `earliest`.
    #[inline]
    pub(crate) fn timers(&self, count: usize, earliest: Option<Instant>, now: Instant) {
        if cfg!(feature = "record") && count > 0 {
            let late = earliest.map_or(0, |due| now.saturating_duration_since(due).as_nanos());
            self.ring.timers(self.latest(), count, u64::try_from(late).unwrap_or(u64::MAX));
        }
    }

    /// A task is put into the queue.
    #[inline]
    pub(crate) fn woken(&self, id: u64) {
        self.ring.woken(self.latest(), id);
    }

    /// A task is taken out of the inbox.
    #[inline]
    pub(crate) fn arrived(&self, id: u64) {
        self.ring.arrived(self.latest(), id);
    }

    /// A task is spawned on the loop's own thread.
    #[inline]
    pub(crate) fn spawned(
        &self,
        id: u64,
        at: &'static Location<'static>,
        name: Option<&Cow<'static, str>>,
    ) {
        self.ring.spawned(self.latest(), id, at, name);
    }

    /// A task's future is dropped.
    #[inline]
    pub(crate) fn ended(&self, id: u64) {
        self.ring.ended(self.latest(), id);
    }

    /// A task is about to be polled.
    #[inline]
    pub(crate) fn poll_begins(&self, id: u64) {
        self.ring.poll_begins(id);
    }

    /// A poll has ended, which began at the latest reading of the clock. Returns how long it took,
    /// if times are measured.
    #[inline]
    pub(crate) fn poll_ends(&self, id: u64, now: impl FnOnce() -> Instant) -> Duration {
        if !self.reads_clock() {
            return Duration::ZERO;
        }
        let began = self.latest();
        let now = self.read(now);
        let took = now - began;
        self.update(|times| {
            times.in_polls += took;
            times.longest_poll = times.longest_poll.max(took);
        });
        self.ring.polled(began, now, id);
        Duration::from_nanos(took)
    }

    /// A turn has ended, with its last poll; told where polls are watched.
    #[inline]
    pub(crate) fn turn_ends(&self, polls: usize) {
        let (woken, now) = (self.woken.get(), self.latest.get());
        self.update(|times| {
            times.turns += 1;
            times.busy += now - woken;
            times.longest_turn = times.longest_turn.max(now - woken);
        });
        self.ring.turn_ends(woken, now, polls);
    }

    /// What the recorder has.
    #[cfg(feature = "record")]
    pub(crate) fn recorded(&self, now: Option<Instant>) -> Recorded {
        let mut recorded = self.ring.copy();
        if let (Some(ticks), Some(now)) = (&self.ticks, now) {
            let (all, nanos) = (ticks.now(self.latest()), self.nanos(now));
            let nanos_of = |ticks| u128::from(ticks) * u128::from(nanos) / u128::from(all.max(1));
            // No later than now, which is a number of 64 bits.
            recorded.convert(|ticks| nanos_of(ticks) as u64);
        }
        recorded
    }
}
