//! Layer 3: the panics that nobody awaits.
//! Invariant: no code of a user runs under the lock.

use std::sync::PoisonError;

use crate::panics::{Payload, discard};
use crate::sync::Mutex;

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
