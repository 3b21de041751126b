//! Layer 3: a note of what a task waits for.
//! Invariant: it is there only while the future that left it is alive.

use std::sync::Arc;

use super::current;
use super::id::{Name, TaskId};
use super::shared::Shared;
use crate::slots::SlotKey;

/// A note that is there until this is dropped.
pub(crate) struct Noted {
    shared: Arc<Shared>,
    key: SlotKey,
}

const _: () = {
    const fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<Noted>();
};

impl Noted {
    /// Has a note in `noted` that the task that is being polled waits for `what`: a new one, or
    /// the one that is there, which may be another task's. Outside of tasks there is none.
    pub(crate) fn note(noted: &mut Option<Self>, what: impl FnOnce() -> Name) {
        let Some((shared, task)) =
            current::with(|executor| Some((Arc::clone(executor.shared()), executor.running_id()?)))
                .flatten()
        else {
            return;
        };
        match noted {
            Some(noted) if Arc::ptr_eq(&noted.shared, &shared) => noted.hand_to(task),
            _ => {
                let key = shared.notes.add(task, what());
                *noted = Some(Self { shared, key });
            }
        }
    }

    fn hand_to(&self, task: TaskId) {
        self.shared.notes.hand_to(self.key, task);
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.shared.notes.remove(self.key);
    }
}
