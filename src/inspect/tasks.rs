//! Layer 6: the table of tasks, as data.

use std::borrow::Cow;
use std::panic::Location;
use std::time::Duration;

use super::forest::Forest;
use super::wait::Wait;
use crate::task::{TaskId, TaskState};

/// All tasks of a runtime at one moment, and what each of them waits for.
///
/// `Display` prints it for a terminal, the most interesting first, and below each task those that it
/// awaits.
#[derive(Clone, Debug)]
pub struct Tasks {
    /// By id.
    pub(super) tasks: Vec<TaskInfo>,
    pub(super) others: Vec<Wait>,
}

/// A task at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its number.
    pub id: TaskId,
    /// What it is called, by [`spawn_named`](crate::spawn_named).
    pub name: Option<Cow<'static, str>>,
    /// Where it was spawned, or `block_on` was called.
    pub spawned_at: &'static Location<'static>,
    /// How long ago it was spawned, give or take a turn; `None`: another thread has spawned it, and
    /// it has not waited yet.
    pub age: Option<Duration>,
    /// What it is about to do.
    pub state: TaskState,
    /// What would wake it. Of a task that is not [waiting](TaskState::Waiting), what is left of its
    /// last wait.
    pub waits: Vec<Wait>,
    /// The task that awaits its end.
    pub awaited_by: Option<TaskId>,
    /// How often it was polled, if the runtime [times polls](crate::Builder::timing).
    pub polls: Option<u64>,
    /// How long these polls took, if the runtime [times polls](crate::Builder::timing).
    pub in_polls: Option<Duration>,
}

impl Tasks {
    /// Each task, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &TaskInfo> {
        self.tasks.iter()
    }

    /// How many tasks there are, the future of `block_on` among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// A task by its id.
    #[must_use]
    pub fn get(&self, id: TaskId) -> Option<&TaskInfo> {
        let place = self.tasks.binary_search_by_key(&id, |task| task.id).ok()?;
        self.tasks.get(place)
    }

    /// What is waited for by wakers of which it is not known whose they are.
    #[must_use]
    pub fn others(&self) -> &[Wait] {
        &self.others
    }

    /// The same without the one that asks.
    pub(super) fn without_running(mut self) -> Self {
        self.tasks.retain(|task| task.state != TaskState::Running);
        self
    }

    pub(super) fn forest(&self) -> Forest {
        Forest::of(self.tasks.iter().map(|task| (task.id, task.awaited_by)))
    }

    /// Tasks that wait for each other and for nothing else that is known, each for the next one, and
    /// the last one for the first. If nobody wakes one of them by hand, they wait for ever.
    #[must_use]
    pub fn dead_locks(&self) -> Vec<Vec<TaskId>> {
        let waits_for_a_task_only = |id: &TaskId| {
            self.get(*id).is_some_and(|task| {
                task.state == TaskState::Waiting
                    && task.waits.iter().all(|wait| matches!(wait, Wait::Task(_)))
            })
        };
        let mut circles = self.forest().circles();
        circles.retain(|circle| circle.iter().all(waits_for_a_task_only));
        circles
    }
}

impl<'t> IntoIterator for &'t Tasks {
    type Item = &'t TaskInfo;
    type IntoIter = std::slice::Iter<'t, TaskInfo>;

    fn into_iter(self) -> Self::IntoIter {
        self.tasks.iter()
    }
}
