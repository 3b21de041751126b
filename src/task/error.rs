//! Layer 5: why a task has no value.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::executor::Task;

/// Why a task has no value: it was cancelled, or it panicked.
pub struct TaskError {
    panic: Option<Box<dyn Any + Send>>,
}

impl TaskError {
    pub(super) fn cancelled() -> Self {
        Self { panic: None }
    }

    /// True if the task was cancelled before its end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.panic.is_none()
    }

    /// True if the task's future panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.panic.is_some()
    }

    /// The payload of the panic, to go on with it by [`std::panic::resume_unwind`].
    ///
    /// # Panics
    /// If the task was cancelled: [`is_panic`](Self::is_panic) tells.
    #[must_use]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        self.panic.expect("the task was cancelled, so it has no panic; ask is_panic first")
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.is_panic() {
            true => "the task has no value: its future panicked; the panic message says why",
            false => "the task has no value: it was cancelled before its end",
        })
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskError")
            .field(&if self.is_panic() { "panic" } else { "cancelled" })
            .finish()
    }
}

impl std::error::Error for TaskError {}

impl From<TaskError> for io::Error {
    fn from(error: TaskError) -> Self {
        Self::other(error.to_string())
    }
}

/// The panic of a task that is known to have panicked.
pub(super) fn poll_panic(task: &mut Task<()>, cx: &mut Context<'_>) -> Poll<TaskError> {
    match panic::catch_unwind(AssertUnwindSafe(|| Pin::new(task).poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(())) => Poll::Ready(TaskError::cancelled()),
        Err(payload) => Poll::Ready(TaskError { panic: Some(payload) }),
    }
}
