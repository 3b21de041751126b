//! Layer 3: what becomes of a task's future, and of its panic.
//! Invariant: a panic of user code reaches whoever awaits the task, or else the executor's log;
//! never async-task, which would abort the process.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::current;
use super::shared::Shared;
use crate::panics::{Payload, catch, discard};

/// The value of a task's future, or its panic. If nobody takes it out, it is dropped here, and a
/// panic goes to the log: that of the future, or that of the value's destructor.
pub(super) struct Ended<T>(Option<End<T>>);

enum End<T> {
    Value(T),
    Panicked(Payload, Option<Arc<Shared>>),
}

impl<T> Ended<T> {
    #[inline]
    pub(super) fn with_value(value: T) -> Self {
        Self(Some(End::Value(value)))
    }

    pub(super) fn panicked(payload: Payload) -> Self {
        Self(Some(End::Panicked(payload, current_shared())))
    }

    pub(super) fn take(mut self) -> Result<T, Payload> {
        match self.0.take() {
            Some(End::Value(value)) => Ok(value),
            Some(End::Panicked(payload, _)) => Err(payload),
            None => unreachable!("only this and the destructor take it out"),
        }
    }
}

impl<T> Drop for Ended<T> {
    fn drop(&mut self) {
        match self.0.take() {
            Some(End::Value(value)) => watch(|| drop(value)),
            Some(End::Panicked(payload, shared)) => report(payload, shared.as_deref()),
            None => {}
        }
    }
}

/// Runs a destructor of user code; its panic goes to the current executor's log.
pub(super) fn watch(drop_it: impl FnOnce()) {
    if let Err(payload) = catch(drop_it) {
        report(payload, current_shared().as_deref());
    }
}

/// Tells of a panic that nobody awaits.
fn report(payload: Payload, shared: Option<&Shared>) {
    let Some(shared) = shared else { return discard(payload) };
    // Not `rouse`: a loop that is about to sleep looks for items, not for panics.
    if shared.panics.report(payload) {
        shared.inbox.notify();
    }
}

fn current_shared() -> Option<Arc<Shared>> {
    current::with(|executor| Arc::clone(executor.shared()))
}

/// Why a task has no value; from [`Task::outcome`](super::Task::outcome).
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// Its future panicked.
    Panicked(Panic),
    /// It was cancelled before its end, or its runtime was dropped.
    Cancelled,
}

impl TaskError {
    /// True if the task's future panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// True if the task was cancelled, or its runtime dropped.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// The panic, to go on with it by [`std::panic::resume_unwind`] or to look at it.
    ///
    /// # Errors
    /// Hands `self` back if there was none.
    pub fn try_into_panic(self) -> Result<Box<dyn std::any::Any + Send>, Self> {
        match self {
            Self::Panicked(panic) => Ok(panic.into_payload()),
            other => Err(other),
        }
    }

    /// As [`try_into_panic`](Self::try_into_panic).
    ///
    /// # Panics
    /// If the task did not panic; ask [`is_panic`](Self::is_panic) first.
    #[must_use]
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn std::any::Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(_) => panic!("the task was cancelled, it did not panic; ask is_panic first"),
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => panic.fmt(f),
            Self::Cancelled => f.write_str("the task was cancelled before it ended"),
        }
    }
}

impl Error for TaskError {}

/// The panic of a task's future.
pub struct Panic(Mutex<Payload>);

impl Panic {
    pub(super) fn new(payload: Payload) -> Self {
        Self(Mutex::new(payload))
    }

    /// What the panic was called with.
    #[must_use]
    pub fn into_payload(self) -> Box<dyn std::any::Any + Send> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The message, if the panic had one.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        let payload = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned())
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(message) => write!(f, "the task panicked: {message}"),
            None => f.write_str("the task panicked"),
        }
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message()).finish()
    }
}
