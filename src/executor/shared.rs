//! Layer 3: the part of an executor that other threads reach.
//! Invariant: all of it is `Send` and `Sync`; no code of a user runs under a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};

use super::inbox::Inbox;
use super::table::TaskId;
use crate::panics::{Payload, discard};
use crate::sync::Mutex;

/// A task that can go on. It knows the executor that it belongs to.
pub(crate) type Runnable = async_task::Runnable<Origin>;

/// Where a task comes from.
pub(crate) struct Origin {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: TaskId,
}

/// What an executor shares with the wakers and handles of its tasks, wherever they are.
pub(crate) struct Shared {
    pub(crate) inbox: Inbox<Runnable>,
    pub(crate) panics: PanicLog,
    /// std's, also under loom: to number a task is no step of a model.
    next_task: AtomicU64,
}

impl Shared {
    pub(crate) fn new(inbox: Inbox<Runnable>, panics: PanicLog) -> Self {
        Self { inbox, panics, next_task: AtomicU64::new(0) }
    }

    /// The origin of a task that is spawned here.
    pub(super) fn origin(self: &Arc<Self>) -> Origin {
        Origin { shared: Arc::clone(self), id: TaskId(self.next_task.fetch_add(1, Relaxed)) }
    }
}

/// Where the panics go that nobody awaits.
#[derive(Default)]
pub(crate) struct PanicLog {
    keeps: bool,
    first: Mutex<Option<Payload>>,
}

impl PanicLog {
    /// A log that `keeps` the first panic for the runtime to go on with, or none.
    pub(crate) fn new(keeps: bool) -> Self {
        Self { keeps, first: Mutex::new(None) }
    }

    /// True if this is a panic for the runtime to go on with.
    pub(super) fn report(&self, payload: Payload) -> bool {
        let unused = self.keep(payload);
        let is_kept = unused.is_none();
        // Outside the lock: a payload is user code.
        unused.into_iter().for_each(discard);
        is_kept
    }

    /// Keeps a payload, or hands it back.
    fn keep(&self, payload: Payload) -> Option<Payload> {
        if !self.keeps {
            return Some(payload);
        }
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_some() {
            return Some(payload);
        }
        *first = Some(payload);
        None
    }

    /// Takes the panic that was kept.
    pub(crate) fn take(&self) -> Option<Payload> {
        if !self.keeps {
            return None;
        }
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
