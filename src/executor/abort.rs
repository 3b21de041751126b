//! Layer 3: cancels a task from elsewhere than its owner.
//! Invariant: no code of a user runs under the lock.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::ended::Ended;
use super::handle::{Inner, Who};

/// A task that its owner and [`AbortHandle`]s share.
pub(super) struct Abortable<T> {
    who: Who,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    /// `None`: it is being polled, has given its value, or is cancelled.
    task: Option<Inner<T>>,
    fate: Fate,
}

/// What is to become of the task when its last handle goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Cancelled,
    Detached,
    /// It is cancelled already.
    Aborted,
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if self.fate == Fate::Detached
            && let Some(task) = self.task.take()
        {
            task.detach();
        }
    }
}

impl<T> Abortable<T> {
    pub(super) fn new(task: Inner<T>) -> Self {
        let who = task.who();
        Self { who, held: Mutex::new(Held { task: Some(task), fate: Fate::Cancelled }) }
    }

    fn lock(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn who(&self) -> Who {
        self.who
    }

    pub(super) fn take(&self) -> Option<Inner<T>> {
        self.lock().task.take()
    }

    pub(super) fn detach(&self) {
        let mut held = self.lock();
        if held.fate == Fate::Cancelled {
            held.fate = Fate::Detached;
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.lock().task.as_ref().is_none_or(Inner::is_finished)
    }

    pub(super) fn abort(&self) {
        let task = {
            let mut held = self.lock();
            held.fate = Fate::Aborted;
            held.task.take()
        };
        // Wakes whoever awaits it.
        drop(task);
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Ended<T>>> {
        // Out of the lock: to poll it clones a waker.
        let Some(mut task) = self.take() else { return Poll::Ready(None) };
        let polled = task.poll(cx);
        if polled.is_pending() {
            let mut held = self.lock();
            if held.fate == Fate::Aborted {
                drop(held);
                drop(task);
                return Poll::Ready(None);
            }
            held.task = Some(task);
        }
        polled
    }
}

/// What an [`AbortHandle`] needs of a task, whatever its value.
trait Abort {
    fn abort(&self);
    fn is_finished(&self) -> bool;
}

impl<T> Abort for Abortable<T> {
    fn abort(&self) {
        self.abort();
    }

    fn is_finished(&self) -> bool {
        self.is_finished()
    }
}

/// Cancels a task, though somebody else holds its [`Task`](super::Task), or it is detached; from
/// [`Task::abort_handle`](super::Task::abort_handle).
///
/// To drop it does nothing. It stays on the thread that made it; to cancel from another one, send
/// the [`Task`](super::Task) there, or let the task wait for a channel.
#[derive(Clone)]
pub struct AbortHandle {
    /// `None`: the task had ended when the handle was made.
    task: Option<Arc<dyn Abort>>,
}

impl AbortHandle {
    pub(super) fn new<T: 'static>(task: Arc<Abortable<T>>) -> Self {
        Self { task: Some(task) }
    }

    pub(super) fn of_nothing() -> Self {
        Self { task: None }
    }

    /// Cancels the task, unless it has ended: its future is dropped before it would be polled
    /// again. Whoever awaits its [`outcome`](super::Task::outcome) is told that it was cancelled.
    pub fn abort(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }

    /// True if the task has ended or is cancelled.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(|task| task.is_finished())
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("is_finished", &self.is_finished()).finish()
    }
}
