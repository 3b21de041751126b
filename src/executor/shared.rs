//! Layer 3: the part of an executor that other threads reach, and what each task knows of it and
//! of itself: it lives beside the task's future, as async-task's metadata.
//! Invariant: all of it is `Send` and `Sync`.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::id::{Name, TaskId};
use super::inbox::Inbox;
use super::notes::Notes;
use super::panic_log::PanicLog;
use super::running::RunningCell;
use crate::probe::TaskSpan;

/// A task that can go on. It knows the executor that it belongs to.
pub(crate) type Runnable = async_task::Runnable<Origin>;

/// What an executor shares with the wakers and handles of its tasks, wherever they are.
pub(crate) struct Shared {
    pub(crate) inbox: Inbox<Runnable>,
    pub(crate) panics: PanicLog,
    /// std's, also under loom: to number a task is no step of a model.
    next_task: AtomicU64,
    pub(super) notes: Notes,
    /// `None`: polls are not timed.
    pub(crate) running: Option<RunningCell>,
}

impl Shared {
    pub(crate) fn new(
        inbox: Inbox<Runnable>,
        panics: PanicLog,
        running: Option<RunningCell>,
    ) -> Self {
        let notes = Notes::default();
        Self { inbox, panics, next_task: AtomicU64::new(1), notes, running }
    }

    /// The origin of a task that is spawned here, at the time `spawned`, if that is known.
    #[track_caller]
    #[inline]
    pub(crate) fn origin(self: &Arc<Self>, spawned: Option<u64>, name: Option<Name>) -> Origin {
        let id = TaskId(self.next_task.fetch_add(1, Relaxed));
        Origin::new(Arc::clone(self), id, Location::caller(), spawned, name)
    }

    /// That of the future of a `block_on`.
    #[track_caller]
    pub(crate) fn root_origin(self: &Arc<Self>, spawned: u64) -> Origin {
        let (shared, id) = (Arc::clone(self), TaskId::ROOT);
        Origin::new(shared, id, Location::caller(), Some(spawned), None)
    }

    /// How many tasks have been spawned.
    pub(crate) fn spawned(&self) -> u64 {
        self.next_task.load(Relaxed) - 1
    }
}

/// Where a task comes from.
pub(crate) struct Origin {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: TaskId,
    pub(crate) spawned_at: &'static Location<'static>,
    /// In nanoseconds since the executor was made, by the clock of its back end; [`UNKNOWN`] for
    /// what other threads spawn, until its first wait.
    spawned: AtomicU64,
    /// The number of the task that awaits this one, or [`UNKNOWN`].
    awaited_by: AtomicU64,
    /// Apart, since most tasks have none of it.
    more: Option<Arc<More>>,
}

// What `inspect` tells of the memory of a task: all of it but the first two, and `Sleeper::origin`.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Origin>() == 16 + 32);

/// What is kept of a task only if it has a name, its runtime times polls, or there is `tracing`. Shared, so that a poll
/// that ends its task can be counted.
pub(crate) struct More {
    pub(crate) name: Option<Name>,
    pub(crate) span: TaskSpan,
    polls: AtomicU64,
    /// In nanoseconds.
    in_polls: AtomicU64,
}

impl More {
    /// Counts a poll, on the executor's thread.
    pub(crate) fn add_poll(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.polls.store(self.polls.load(Relaxed) + 1, Relaxed);
        self.in_polls.store(self.in_polls.load(Relaxed).saturating_add(nanos), Relaxed);
    }

    /// How many polls were counted, and how long they took.
    pub(crate) fn polls(&self) -> (u64, Duration) {
        (self.polls.load(Relaxed), Duration::from_nanos(self.in_polls.load(Relaxed)))
    }
}

const UNKNOWN: u64 = u64::MAX;

#[cold]
fn more(id: TaskId, at: &'static Location<'static>, name: Option<Name>) -> Option<Arc<More>> {
    let span = TaskSpan::new(id.0, name.as_ref(), at);
    let (polls, in_polls) = Default::default();
    Some(Arc::new(More { name, span, polls, in_polls }))
}

impl Origin {
    #[inline]
    pub(super) fn new(
        shared: Arc<Shared>,
        id: TaskId,
        spawned_at: &'static Location<'static>,
        spawned: Option<u64>,
        name: Option<Name>,
    ) -> Self {
        let wanted = name.is_some() || shared.running.is_some() || cfg!(feature = "tracing");
        let more = if wanted { more(id, spawned_at, name) } else { None };
        Self {
            shared,
            id,
            spawned_at,
            spawned: AtomicU64::new(spawned.unwrap_or(UNKNOWN)),
            awaited_by: AtomicU64::new(UNKNOWN),
            more,
        }
    }

    pub(crate) fn name(&self) -> Option<&Name> {
        self.more.as_ref()?.name.as_ref()
    }

    pub(crate) fn more(&self) -> Option<&Arc<More>> {
        self.more.as_ref()
    }

    /// When it was spawned, in nanoseconds since the executor was made.
    pub(crate) fn spawned(&self) -> Option<u64> {
        Some(self.spawned.load(Relaxed)).filter(|spawned| *spawned != UNKNOWN)
    }

    /// Sets that, if it is not known.
    pub(super) fn set_spawned(&self, now: impl FnOnce() -> u64) {
        if self.spawned().is_none() {
            self.spawned.store(now(), Relaxed);
        }
    }

    /// The task that has awaited this one, and has not got its value.
    pub(crate) fn awaited_by(&self) -> Option<TaskId> {
        Some(self.awaited_by.load(Relaxed)).filter(|by| *by != UNKNOWN).map(TaskId)
    }

    pub(super) fn set_awaited_by(&self, by: Option<TaskId>) {
        self.awaited_by.store(by.map_or(UNKNOWN, |by| by.0), Relaxed);
    }
}
