//! Layer 6: what the recorder has, copied out of a loop.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::entry::Entry;
use crate::executor::{Executor, current};
use crate::probe::{Kind, Named, Record, Recorded, cut};
use crate::runtime::Runtime;
use crate::task::TaskId;

/// What a loop has done lately: turns, waits, events, polls, wakes, timers, spawns and ends of tasks,
/// with their times.
///
/// Each runtime keeps the latest 65536 [records](crate::Builder::records) for as long as it lives.
/// Nothing of it is global, and nothing is written before somebody asks.
///
/// ```
/// use selkie::inspect;
///
/// # let folder = std::env::temp_dir().join(format!("selkie-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("echo.json");
/// selkie::block_on(async {
///     selkie::spawn_named("yields", selkie::yield_now()).await;
///     inspect::recording().save_trace(&path)
/// })?;
/// // Open it in https://ui.perfetto.dev, or chrome://tracing: there is a track for each task.
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Recording {
    /// The oldest first.
    pub(super) records: Vec<Record>,
    pub(super) lost: u64,
    pub(super) tasks: BTreeMap<TaskId, Who>,
}

/// What is known of a task beside its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) spawned_at: String,
    pub(super) name: Option<String>,
}

/// The recording of the current runtime.
///
/// # Panics
/// If called outside [`Runtime::block_on`], [`Runtime::enter`] and tasks.
#[must_use]
#[track_caller]
pub fn recording() -> Recording {
    Recording::of(&current::expect())
}

impl Runtime {
    /// What this runtime has done lately.
    #[must_use]
    pub fn recording(&self) -> Recording {
        Recording::of(self.executor())
    }
}

impl Recording {
    fn of(executor: &Executor) -> Self {
        let Recorded { records, lost, places, names } = {
            let reactor = &executor.reactor;
            reactor.probe.recorded(reactor.try_now())
        };
        let mut tasks: BTreeMap<TaskId, Who> = BTreeMap::new();
        for record in records.iter().filter(|record| record.kind() == Some(Kind::Place)) {
            if let Some(place) = places.get(record.b as usize) {
                let who = Who { spawned_at: told(place), name: None };
                tasks.insert(TaskId::of(record.a), who);
            }
        }
        for Named { task, place, name } in names {
            let who = Who { spawned_at: told(place), name: Some(name.into_owned()) };
            tasks.insert(TaskId::of(task), who);
        }
        // Those that live may have been spawned before the first record.
        executor.each_task(|sight| {
            let origin = sight.origin;
            let name = origin.name().map(|name| cut(name).to_owned());
            let who = Who { spawned_at: told(origin.spawned_at), name };
            tasks.insert(TaskId::of(origin.id.get() as u32), who);
        });
        Self { records, lost, tasks }
    }

    /// What has happened, the oldest first. Times never fall.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + use<> {
        self.records.clone().into_iter().filter_map(Entry::of)
    }

    /// How many older records were written over. A recording that has lost some may begin in the
    /// middle of a turn.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What a task is called, if it has a name that is known.
    #[must_use]
    pub fn name(&self, task: TaskId) -> Option<&str> {
        self.tasks.get(&task)?.name.as_deref()
    }

    /// Where a task was spawned, as `src/main.rs:12`, if that is known.
    #[must_use]
    pub fn spawned_at(&self, task: TaskId) -> Option<&str> {
        Some(&self.tasks.get(&task)?.spawned_at)
    }
}

fn told(place: &std::panic::Location<'_>) -> String {
    format!("{}:{}", place.file(), place.line())
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |record: Option<&Record>| record.map(|r| Duration::from_nanos(r.time()));
        f.debug_struct("Recording")
            .field("records", &self.records.len())
            .field("lost", &self.lost)
            .field("from", &span(self.records.first()))
            .field("to", &span(self.records.last()))
            .finish_non_exhaustive()
    }
}
