//! Layer 3: what tasks say of what they wait for, where the loop cannot know it.
//! Invariant: nothing is called under the lock. A future that leaves a note stays `Send`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::id::{Name, TaskId};
use crate::slots::{SlotKey, Slots};

/// The notes of one executor. The mutex is std's, also under loom: to note is no step of a model.
#[derive(Default)]
pub(super) struct Notes(Mutex<Slots<Note>>);

struct Note {
    task: TaskId,
    what: Name,
}

impl Notes {
    fn lock(&self) -> MutexGuard<'_, Slots<Note>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, task: TaskId, what: Name) -> SlotKey {
        self.lock().insert(Note { task, what })
    }

    /// It is the note of `task`, from now on.
    pub(super) fn hand_to(&self, key: SlotKey, task: TaskId) {
        if let Some(note) = self.lock().get_mut(key) {
            note.task = task;
        }
    }

    pub(super) fn remove(&self, key: SlotKey) {
        let note = self.lock().remove(key);
        drop(note);
    }

    /// Each note: the task that left it, and what it says.
    pub(super) fn each(&self, mut f: impl FnMut(TaskId, &Name)) {
        self.lock().values().for_each(|note| f(note.task, &note.what));
    }
}
