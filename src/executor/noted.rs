//! Layer 3: a note of what a task waits for.
//! Invariant: it is there only while the future that left it is alive.

use std::rc::Rc;

use slotmap::DefaultKey;

use super::id::Name;
use super::{Executor, current};

/// A note that is there until this is dropped.
pub(crate) struct Noted {
    executor: Rc<Executor>,
    key: DefaultKey,
}

impl Noted {
    /// Notes that the task that is being polled waits for `what`; `None` outside of tasks.
    pub(crate) fn new(what: Name) -> Option<Self> {
        let executor = current::get()?;
        let task = executor.running_id()?;
        let key = executor.sights.notes.add(task, what);
        Some(Self { executor, key })
    }

    /// It is a note of the task that is being polled, from now on.
    pub(crate) fn renew(&self) {
        if let Some(task) = self.executor.running_id() {
            self.executor.sights.notes.hand_to(self.key, task);
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.executor.sights.notes.remove(self.key);
    }
}
