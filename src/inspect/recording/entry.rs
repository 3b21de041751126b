//! Layer 6: what a recording says, entry by entry.

use std::fmt;
use std::time::Duration;

use super::super::wait::Short;
use crate::interest::Readiness;
use crate::probe::{Kind, LOOP, OUTSIDE, Record, unpack_duration};
use crate::task::TaskId;

/// Something that a loop did, or that happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// When, counted from the making of the runtime. What has a duration is told at its end. What
    /// happens within a poll has the time at which the poll began, since the clock is not read
    /// for it.
    pub time: Duration,
    /// What it was.
    pub what: What,
}

/// What an [`Entry`] is about. Tasks are told by their numbers, modulo 2³².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The loop has looked at the system, and mostly waited.
    Wait {
        /// How long.
        took: Duration,
        /// How many sources had an event.
        events: u32,
    },
    /// A turn is over, which began with the latest wait.
    Turn {
        /// How long, without the wait.
        took: Duration,
        /// How often tasks were polled.
        polls: u32,
    },
    /// A source has an event; the wait that found it comes next.
    Event {
        /// The descriptor.
        fd: i32,
        /// What it is ready for.
        readiness: Readiness,
    },
    /// Timers were due.
    Timers {
        /// How many.
        count: u32,
        /// By how much the earliest deadline had passed.
        late: Duration,
    },
    /// A task was woken.
    Wake {
        /// Which.
        task: TaskId,
        /// By whom.
        by: Actor,
    },
    /// A poll of a task is over.
    Poll {
        /// Which.
        task: TaskId,
        /// How long it took.
        took: Duration,
    },
    /// A task was spawned.
    Spawn {
        /// Which.
        task: TaskId,
        /// By whom.
        by: Actor,
    },
    /// A task's future is gone.
    End {
        /// Which.
        task: TaskId,
    },
    /// A task has come from another thread, or from outside the turns, where it was woken or
    /// spawned.
    Arrival {
        /// Which.
        task: TaskId,
    },
}

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Actor {
    /// A task, in its poll.
    Task(TaskId),
    /// The loop: an event, or a timer.
    Loop,
    /// Code outside polls.
    Outside,
}

impl Actor {
    fn of(number: u32) -> Self {
        match number {
            LOOP => Self::Loop,
            OUTSIDE => Self::Outside,
            id => Self::Task(TaskId::of(id)),
        }
    }
}

impl Entry {
    /// `None` for what only other entries need.
    pub(super) fn of(record: Record) -> Option<Self> {
        let Record { a, b, .. } = record;
        let (task, took) = (TaskId::of(a), Duration::from_nanos(unpack_duration(b)));
        let what = match record.kind()? {
            Kind::Wait => What::Wait { took, events: a },
            Kind::Turn => What::Turn { took, polls: a },
            Kind::Event => {
                let readiness = Readiness::from_bits_truncate(b as u8);
                What::Event { fd: a.cast_signed(), readiness }
            }
            Kind::Timers => What::Timers { count: a, late: took },
            Kind::Wake => What::Wake { task, by: Actor::of(b) },
            Kind::Poll => What::Poll { task, took },
            Kind::Spawn => What::Spawn { task, by: Actor::of(b) },
            Kind::End => What::End { task },
            Kind::Arrival => What::Arrival { task },
            Kind::Place => return None,
        };
        Some(Self { time: Duration::from_nanos(record.time()), what })
    }
}

/// As `  3.21 ms  #2 is woken by #1`, in columns.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8}  {}", Short(self.time).to_string(), self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Wait { took, events } => {
                write!(f, "the loop has waited for {}: {}", Short(took), Count(events, "event"))
            }
            Self::Turn { took, polls } => {
                write!(f, "a turn took {}: {}", Short(took), Count(polls, "poll"))
            }
            Self::Event { fd, readiness } => write!(f, "fd {fd}: {}", Bits(readiness)),
            Self::Timers { count, late } => {
                write!(f, "{} due, the first one {} late", Count(count, "timer"), Short(late))
            }
            Self::Wake { task, by } => write!(f, "{task} was woken by {by}"),
            Self::Poll { task, took } => write!(f, "{task} was polled for {}", Short(took)),
            Self::Spawn { task, by } => write!(f, "{task} was spawned by {by}"),
            Self::End { task } => write!(f, "{task} ended"),
            Self::Arrival { task } => write!(f, "{task} came from outside"),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(id) => id.fmt(f),
            Self::Loop => f.write_str("the loop"),
            Self::Outside => f.write_str("other code"),
        }
    }
}

/// As `1 event`, or `2 events`.
struct Count(u32, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// The names of the bits, as `READ | READ_CLOSED`.
pub(super) struct Bits(pub(super) Readiness);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter_names().map(|(name, _)| name).collect();
        f.write_str(&names.join(" | "))
    }
}
