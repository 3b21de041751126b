//! Layer 2: the part of an executor that other threads reach.
//! Imports `inbox` and `sync`. Invariant: all of it is `Send` and `Sync`; no code of a user runs under a lock.

use std::any::Any;
use std::sync::{Arc, PoisonError};

use super::inbox::Inbox;
use crate::sync::Mutex;

/// A task that can go on. It knows the executor that it belongs to.
pub(crate) type Runnable = async_task::Runnable<Arc<Shared>>;

pub(super) type Payload = Box<dyn Any + Send>;

/// What an executor shares with the wakers and handles of its tasks, wherever they are.
pub(crate) struct Shared {
    pub(crate) inbox: Inbox<Runnable>,
    pub(crate) panics: PanicLog,
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
        if !self.keeps {
            return false;
        }
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = if first.is_none() { first.replace(payload) } else { Some(payload) };
        drop(first);
        let is_kept = unused.is_none();
        // Only now: a payload is user code.
        drop(unused);
        is_kept
    }

    /// Takes the panic that was kept.
    pub(crate) fn take(&self) -> Option<Payload> {
        if !self.keeps {
            return None;
        }
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
