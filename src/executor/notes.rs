//! Layer 3: what tasks say of what they wait for, where the loop cannot know it.

use std::cell::RefCell;

use slotmap::{DefaultKey, SlotMap};

use super::id::{Name, TaskId};

/// The notes of one executor.
#[derive(Default)]
pub(super) struct Notes(RefCell<SlotMap<DefaultKey, Note>>);

struct Note {
    task: TaskId,
    what: Name,
}

impl Notes {
    pub(super) fn add(&self, task: TaskId, what: Name) -> DefaultKey {
        self.0.borrow_mut().insert(Note { task, what })
    }

    /// It is the note of `task`, from now on.
    pub(super) fn hand_to(&self, key: DefaultKey, task: TaskId) {
        if let Some(note) = self.0.borrow_mut().get_mut(key) {
            note.task = task;
        }
    }

    pub(super) fn remove(&self, key: DefaultKey) {
        let note = self.0.borrow_mut().remove(key);
        drop(note);
    }

    /// Each note: the task that left it, and what it says.
    pub(super) fn each(&self, mut f: impl FnMut(TaskId, &Name)) {
        self.0.borrow().values().for_each(|note| f(note.task, &note.what));
    }
}
