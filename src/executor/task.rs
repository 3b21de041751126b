//! Layer 2: a task as its owner holds it.
//! Imports `shared`. Invariant: a panic of the task's future reaches whoever awaits it, or else
//! the executor's log.

use std::fmt;
use std::future::Future;
use std::panic;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_task::FallibleTask;

use super::shared::{Payload, Shared};

/// A spawned task.
///
/// Await it for the value of its future. Dropping it cancels the task: its future is dropped by
/// the runtime, on the runtime's thread, before it would be polled again. [`detach`](Self::detach)
/// lets it run on by itself.
///
/// # Panics
/// Awaiting goes on with the panic of the task's future, if it panicked, and panics if the task
/// is gone because its runtime was dropped. If the future panics as it is dropped before its end,
/// that is a panic that nobody awaits, see [`Builder`](crate::Builder::unobserved_panic).
///
/// # Cancel safety
/// Awaiting `&mut task` may be given up and begun again: the value is kept until it is taken.
#[must_use = "a task that is dropped is cancelled; await it, or let it go with .detach()"]
pub struct Task<T> {
    task: FallibleTask<Result<T, Panicked>, Arc<Shared>>,
}

impl<T> Task<T> {
    pub(super) fn new(task: FallibleTask<Result<T, Panicked>, Arc<Shared>>) -> Self {
        Self { task }
    }

    /// Lets the task run to its end by itself; its value is dropped.
    ///
    /// If its future panics, nobody is left to see it: the panic message is all there is, unless
    /// the runtime's [`Builder`](crate::Builder::unobserved_panic) says otherwise.
    pub fn detach(self) {
        self.task.detach();
    }

    /// Cancels the task and waits until its future is dropped. Returns the value if the task had
    /// ended before.
    ///
    /// # Panics
    /// If the task's future had panicked, with that panic.
    ///
    /// # Cancel safety
    /// The task is cancelled as soon as this is polled, or dropped.
    pub async fn cancel(self) -> Option<T> {
        self.task.cancel().await.map(unwrap)
    }

    /// True if the task has ended, by its value, a panic or its being cancelled.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.task).poll(cx)) {
            Some(result) => Poll::Ready(unwrap(result)),
            None => panic!("the awaited task is gone: its runtime was dropped before it ended"),
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("is_finished", &self.is_finished()).finish_non_exhaustive()
    }
}

fn unwrap<T>(result: Result<T, Panicked>) -> T {
    result.unwrap_or_else(|panicked| panic::resume_unwind(panicked.observe()))
}

/// What a panic left behind; if it is dropped before anybody has observed it, it goes to the log.
pub(super) struct Panicked {
    payload: Option<Payload>,
    shared: Option<Arc<Shared>>,
}

impl Panicked {
    pub(super) fn new(payload: Payload, shared: Option<Arc<Shared>>) -> Self {
        Self { payload: Some(payload), shared }
    }

    fn observe(mut self) -> Payload {
        self.payload.take().unwrap_or_else(|| Box::new("a task panicked"))
    }
}

impl Drop for Panicked {
    fn drop(&mut self) {
        if let (Some(payload), Some(shared)) = (self.payload.take(), &self.shared) {
            // Not `rouse`: a loop that is about to sleep looks for items, not for panics.
            if shared.panics.report(payload) {
                shared.inbox.notify();
            }
        }
    }
}
