//! Layer 3: a task as its owner holds it.
//! Invariant: a panic of the task's future reaches whoever awaits it, or else the executor's log.

use std::fmt;
use std::future::Future;
use std::panic;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::FusedFuture;

use super::abort::{AbortHandle, Abortable};
use super::ended::{Ended, Panic, TaskError};
use super::handle::{Inner, Who};
use super::id::TaskId;
use crate::panics::Payload;

/// A spawned task.
///
/// Await it for the value of its future. Dropping it cancels the task: its future is dropped by
/// the runtime, on the runtime's thread, before it would be polled again. [`detach`](Self::detach)
/// lets it run on by itself.
///
/// # Panics
/// Awaiting goes on with the panic of the task's future, if it panicked, and panics if the task
/// was cancelled by its [`AbortHandle`] or its runtime was dropped; [`outcome`](Self::outcome)
/// returns these as values. If the future panics as it is dropped before its end, that is a panic
/// that nobody awaits, see [`Builder`](crate::Builder::unobserved_panic).
///
/// A waker of a foreign executor that awaits the task must not panic: async-task calls it in the
/// middle of a change of state, and aborts the process.
///
/// # Cancel safety
/// Awaiting `&mut task` may be given up and begun again: the value is kept until it is taken.
#[must_use = "a task that is dropped is cancelled; await it, or let it go with .detach()"]
pub struct Task<T> {
    handle: Handle<T>,
}

enum Handle<T> {
    Own(Inner<T>),
    /// There is an [`AbortHandle`], too.
    Shared(Arc<Abortable<T>>),
    /// The task has ended and its value was taken, or it was detached.
    Done(Who),
}

impl<T> Task<T> {
    #[inline]
    pub(super) fn new(task: Inner<T>) -> Self {
        Self { handle: Handle::Own(task) }
    }

    fn who(&self) -> Who {
        match &self.handle {
            Handle::Own(task) => task.who(),
            Handle::Shared(task) => task.who(),
            Handle::Done(who) => *who,
        }
    }

    fn take(&mut self) -> Handle<T> {
        let done = Handle::Done(self.who());
        std::mem::replace(&mut self.handle, done)
    }

    /// The name that the task has in the [table of tasks](crate::inspect).
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.who().id
    }

    /// Lets the task run to its end by itself; its value is dropped.
    ///
    /// If its future panics, nobody is left to see it: the panic message is all there is, unless
    /// the runtime's [`Builder`](crate::Builder::unobserved_panic) says otherwise.
    pub fn detach(mut self) {
        match self.take() {
            Handle::Own(task) => task.detach(),
            Handle::Shared(task) => task.detach(),
            Handle::Done(_) => {}
        }
    }

    /// Cancels the task and waits until its future is dropped. Returns the value if the task had
    /// ended before.
    ///
    /// # Panics
    /// If the task's future had panicked, with that panic.
    ///
    /// # Cancel safety
    /// The task is cancelled as soon as this is polled, or dropped.
    pub async fn cancel(mut self) -> Option<T> {
        let task = match self.take() {
            Handle::Own(task) => Some(task),
            Handle::Shared(task) => task.take(),
            Handle::Done(_) => None,
        };
        let ended = task?.cancel().await?;
        Some(ended.take().unwrap_or_else(|payload| panic::resume_unwind(payload)))
    }

    /// Waits for the end of the task: its value, or why it has none.
    ///
    /// # Cancel safety
    /// Dropping it cancels the task, as dropping the `Task` does.
    pub fn outcome(self) -> Outcome<T> {
        Outcome { task: self }
    }

    /// A handle that cancels the task, and may outlive the `Task`.
    #[must_use]
    pub fn abort_handle(&mut self) -> AbortHandle
    where
        T: 'static,
    {
        let abortable = match self.take() {
            Handle::Own(task) => Arc::new(Abortable::new(task)),
            Handle::Shared(task) => task,
            Handle::Done(_) => return AbortHandle::of_nothing(),
        };
        let handle = AbortHandle::new(Arc::clone(&abortable));
        self.handle = Handle::Shared(abortable);
        handle
    }

    /// True if the task has ended, by its value, a panic or its being cancelled.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.handle {
            Handle::Own(task) => task.is_finished(),
            Handle::Shared(task) => task.is_finished(),
            Handle::Done(_) => true,
        }
    }

    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Failure>> {
        let ended = match &mut self.handle {
            Handle::Own(task) => ready!(task.poll(cx)),
            Handle::Shared(task) => ready!(task.poll(cx)),
            Handle::Done(_) => panic!("a task was polled after it had given its value"),
        };
        self.handle = Handle::Done(self.who());
        Poll::Ready(match ended.map(Ended::take) {
            Some(Ok(value)) => Ok(value),
            Some(Err(payload)) => Err(Failure::Panicked(payload)),
            None => Err(Failure::Gone),
        })
    }
}

/// Why there is no value.
enum Failure {
    Panicked(Payload),
    Gone,
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(self.poll_ended(cx)) {
            Ok(value) => Poll::Ready(value),
            Err(Failure::Panicked(payload)) => panic::resume_unwind(payload),
            Err(Failure::Gone) => panic!(
                "the awaited task is gone, which was spawned at {}: it was cancelled, or its \
                 runtime was dropped before it ended; await its outcome to have that as a value",
                self.who().spawned_at
            ),
        }
    }
}

impl<T> FusedFuture for Task<T> {
    /// True once the value was taken.
    fn is_terminated(&self) -> bool {
        matches!(self.handle, Handle::Done(_))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if let Handle::Shared(task) = &self.handle {
            task.abort();
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id().get())
            .field("spawned_at", &format_args!("{}", self.who().spawned_at))
            .field("is_finished", &self.is_finished())
            .finish()
    }
}

/// The future of [`Task::outcome`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited; dropping this one cancels the task"]
pub struct Outcome<T> {
    task: Task<T>,
}

impl<T> Future for Outcome<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.task.poll_ended(cx));
        Poll::Ready(outcome.map_err(|failure| match failure {
            Failure::Panicked(payload) => TaskError::Panicked(Panic::new(payload)),
            Failure::Gone => TaskError::Cancelled,
        }))
    }
}

impl<T> FusedFuture for Outcome<T> {
    fn is_terminated(&self) -> bool {
        self.task.is_terminated()
    }
}
