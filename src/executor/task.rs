//! Layer 2: a task as its owner holds it, and the future that runs in it.
//! Imports its siblings. Invariant: a panic of the task's future ends the task, and reaches
//! whoever awaits it, or else the executor's [`PanicLog`].

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use async_task::FallibleTask;
use pin_project_lite::pin_project;

use super::{Current, Registration, Shared};

pub(super) type Payload = Box<dyn Any + Send>;

/// A spawned task.
///
/// Await it for the value of its future. Dropping it cancels the task: its future is dropped by
/// the runtime, on the runtime's thread, before it would be polled again. [`detach`](Self::detach)
/// lets it run on by itself.
///
/// # Panics
/// Awaiting goes on with the panic of the task's future, if it panicked, and panics if the task
/// is gone because its runtime was dropped.
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
    fn report(&self, payload: Payload) -> bool {
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

pin_project! {
    /// The future of a task: catches its panics, and registers the task with the executor when
    /// it first has to wait.
    pub(super) struct TaskFuture<F, C> {
        #[pin]
        future: F,
        registration: Option<Registration>,
        current: std::marker::PhantomData<fn() -> C>,
    }
}

impl<F, C: Current> TaskFuture<F, C> {
    pub(super) fn new(future: F) -> Self {
        Self { future, registration: None, current: std::marker::PhantomData }
    }
}

impl<F: Future, C: Current> Future for TaskFuture<F, C> {
    type Output = Result<F::Output, Panicked>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = panic::catch_unwind(AssertUnwindSafe(|| this.future.poll(cx)));
        match polled {
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Ok(Poll::Pending) => {
                if this.registration.is_none() {
                    *this.registration = C::get().map(|e| e.register(cx.waker().clone()));
                }
                Poll::Pending
            }
            Err(payload) => Poll::Ready(Err(Panicked {
                payload: Some(payload),
                shared: C::get().map(|executor| Arc::clone(executor.shared())),
            })),
        }
    }
}

/// Leaks what must not be dropped on this thread.
pub(super) fn leak<T>(value: T) {
    mem::forget(value);
}
