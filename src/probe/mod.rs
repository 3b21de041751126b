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
use std::time::Instant;

#[cfg(feature = "record")]
pub(crate) use self::record::{Kind, LOOP, OUTSIDE, Record, unpack_duration};
#[cfg(feature = "record")]
pub(crate) use self::ring::{Named, Recorded, cut};
pub(crate) use self::span::{Inside, TaskSpan, tell_turn};

use self::ring::{Ring, SHORT};
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

/// Who looks at polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watching {
    Nothing,
    /// The recorder, and nobody else.
    Recorder,
    /// Whoever wants to know how long they take, `tracing`, and the recorder.
    All,
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

    /// How polls are to be watched.
    #[inline]
    pub(crate) fn watching(&self) -> Watching {
        if cfg!(feature = "tracing") || self.is_timed {
            Watching::All
        } else if cfg!(feature = "record") {
            Watching::Recorder
        } else {
            Watching::Nothing
        }
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
        self.ring.event(fd, readiness);
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

    /// A task comes that another thread has spawned.
    pub(crate) fn spawned_elsewhere(
        &self,
        id: u64,
        at: &'static Location<'static>,
        name: Option<&Cow<'static, str>>,
    ) {
        self.ring.spawned_elsewhere(self.latest(), id, at, name);
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

    /// As [`poll_ends`](Self::poll_ends), where [nothing but the recorder](Watching::Recorder)
    /// watches.
    #[inline]
    pub(crate) fn recorded_poll_ends(&self, now: impl FnOnce() -> Instant) {
        if let Some(ticks) = &self.ticks {
            // One comparison tells that the counter has not leapt, and that the poll was short.
            let now = ticks.count();
            let took = now.wrapping_sub(self.latest());
            if took < SHORT {
                self.latest.set(now);
                self.ring.polled_shortly(now, took as u32);
                return;
            }
        }
        self.long_poll_ends(now);
    }

    #[cold]
    fn long_poll_ends(&self, now: impl FnOnce() -> Instant) {
        let began = self.latest();
        let now = self.read(now);
        self.ring.polled(now, now - began);
    }

    /// The poll that was told of last is over; it began at the latest reading of the clock. Returns
    /// how many nanoseconds it took, if times are measured.
    #[inline]
    pub(crate) fn poll_ends(&self, now: impl FnOnce() -> Instant) -> u64 {
        if !self.reads_clock() {
            return 0;
        }
        let began = self.latest();
        let now = self.read(now);
        let took = now - began;
        self.update(|times| {
            times.in_polls += took;
            times.longest_poll = times.longest_poll.max(took);
        });
        self.ring.polled(now, took);
        took
    }

    /// Other code than a poll's is about to run, or has run: who is told first calls nobody a task,
    /// who is told last counts none of that time as a poll's.
    pub(crate) fn between_polls(&self, now: impl FnOnce() -> Instant) {
        self.ring.nobody_acts();
        if self.reads_clock() {
            self.read(now);
        }
    }

    /// True if a recorded poll has begun and nothing has come after it.
    #[inline]
    pub(crate) fn is_in_poll(&self) -> bool {
        self.ring.is_in_poll()
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
        let mut recorded = self.ring.copy(self.latest());
        if let (Some(ticks), Some(now)) = (&self.ticks, now) {
            let (all, nanos) = (ticks.now(self.latest()), self.nanos(now));
            let nanos_of = |ticks| u128::from(ticks) * u128::from(nanos) / u128::from(all.max(1));
            // No later than now, which is a number of 64 bits.
            recorded.convert(|ticks| nanos_of(ticks) as u64);
        }
        recorded
    }
}
