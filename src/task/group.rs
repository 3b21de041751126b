//! Layer 5: tasks that belong together. Invariant: every task that was spawned has one result.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::cancel::Cancel;
use super::member::Member;
use super::state::{OnPanic, Result as Told, Shared};
use crate::executor::{Noted, TaskError};
use crate::runtime::spawn;

/// Tasks that belong together: they are waited for together, and end with the group.
///
/// A group that is dropped cancels its tasks. It belongs to no runtime by itself: a task is spawned
/// on the runtime that is current then.
///
/// [`join_next`](Self::join_next), or the group as a [`Stream`], has one result for each task, when
/// that has ended. A task's memory is freed when it ends; only its value is kept until it is asked
/// for. So a group may run for years without anybody asking, if its tasks return `()`, which takes
/// no memory.
///
/// If a task panics, the others run on, and when all have ended the panic goes on in whoever waits
/// for them: it is not lost, and does no harm to its neighbours. [`OnPanic`] has other ways.
///
/// ```
/// use selkie::TaskGroup;
///
/// selkie::block_on(async {
///     let mut group = TaskGroup::new();
///     for number in 1..=3 {
///         group.spawn(async move { number * number });
///     }
///     let mut sum = 0;
///     while let Some(result) = group.join_next().await {
///         sum += result?;
///     }
///     assert_eq!(sum, 14);
///     Ok::<(), selkie::TaskError>(())
/// }).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TaskGroup<T> {
    shared: Rc<Shared<T>>,
    noted: Option<Noted>,
}

impl<T: 'static> TaskGroup<T> {
    /// A group without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Cancel::new(), OnPanic::default())
    }

    /// A group without tasks, with a token from outside, whose end can be asked for there, and with
    /// what it does when a task panics.
    ///
    /// The group cancels `token` when it is shut down, so give it a [`child`](Cancel::child) of a
    /// token that others use.
    #[must_use]
    pub fn with(token: Cancel, on_panic: OnPanic) -> Self {
        Self { shared: Rc::new(Shared::new(token, on_panic)), noted: None }
    }

    /// Spawns a task in this group, on the current runtime.
    ///
    /// A group that was shut down takes no tasks: then `future` is dropped, and its result is that
    /// it was cancelled. [`is_closed`](Self::is_closed) tells.
    ///
    /// # Panics
    /// If called outside [`Runtime::block_on`](crate::Runtime::block_on),
    /// [`Runtime::enter`](crate::Runtime::enter) and tasks.
    #[track_caller]
    pub fn spawn<F: Future<Output = T> + 'static>(&self, future: F) {
        self.shared.spawn(future);
    }

    /// A handle that spawns in this group, for its own tasks: it does not keep the group.
    #[must_use]
    pub fn spawner(&self) -> Spawner<T> {
        Spawner { shared: Rc::downgrade(&self.shared) }
    }

    /// Waits until a task has ended, and returns its result: its value, or that it was cancelled.
    /// `None` if all tasks have ended and no result is left.
    ///
    /// Values come in the order in which the tasks ended.
    ///
    /// # Panics
    /// If a task panicked, with that panic, once all tasks have ended and no other result is left;
    /// see [`OnPanic`].
    ///
    /// # Cancel safety
    /// May be dropped at any time: no result is lost.
    pub async fn join_next(&mut self) -> Option<Result<T, TaskError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](Self::join_next), for hand-written futures. The task that polled last is
    /// woken.
    ///
    /// # Panics
    /// As [`join_next`](Self::join_next).
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, TaskError>>> {
        self.noted = None;
        let told = self.shared.state.borrow_mut().take_result();
        match told {
            Some(Told::Value(value)) => Poll::Ready(Some(Ok(value))),
            Some(Told::Cancelled) => Poll::Ready(Some(Err(TaskError::Cancelled))),
            Some(Told::Panicked(mut outcome)) => {
                let polled = Pin::new(&mut outcome).poll(cx);
                if polled.is_pending() {
                    // Its future is being dropped, further down on this stack.
                    self.shared.state.borrow_mut().put_back(outcome);
                }
                // It has panicked, so there is no value.
                polled.map(|outcome| outcome.err().map(Err))
            }
            None => {
                ready!(self.poll_all_ended(cx));
                Poll::Ready(None)
            }
        }
    }
}

impl<T> TaskGroup<T> {
    /// Asks all tasks to end, by the group's token, and takes no new ones. Those that do not watch
    /// the token run on.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Cancels all tasks. Their results are that they were cancelled; new ones may be spawned.
    pub fn cancel_all(&self) {
        self.shared.cancel_all();
    }

    /// The group's token: cancelled when the group is shut down, so that its tasks can end by
    /// themselves.
    #[must_use]
    pub fn token(&self) -> &Cancel {
        &self.shared.token
    }

    /// How many tasks have not ended. There may be more results to ask for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.state.borrow().running()
    }

    /// True if all tasks have ended. There may be results to ask for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if the group takes no new tasks.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state.borrow().is_closed
    }

    pub(super) fn shared(&self) -> &Shared<T> {
        &self.shared
    }

    /// Ready when no task is left. Goes on with the panic that was kept until then.
    pub(super) fn poll_all_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_empty() {
            let waker = Some(cx.waker().clone());
            let replaced = std::mem::replace(&mut self.shared.state.borrow_mut().waiter, waker);
            drop(replaced);
            Noted::note(&mut self.noted, || "the end of a task of its group".into());
            return Poll::Pending;
        }
        self.noted = None;
        let panicked = self.shared.state.borrow_mut().first_panic.take();
        if let Some(mut task) = panicked {
            // Panics; or is pending, if this is called while the task's future is being dropped.
            if Pin::new(&mut task).poll(cx).is_pending() {
                self.shared.state.borrow_mut().first_panic = Some(task);
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl<T: 'static> Shared<T> {
    #[track_caller]
    fn spawn<F: Future<Output = T> + 'static>(self: &Rc<Self>, future: F) {
        let slot = self.state.borrow_mut().reserve();
        // From here on the slot is left by the member's end, in a panic of `spawn` too.
        let member = Member::new(future, Rc::downgrade(self), slot);
        let task = spawn(member);
        let refused = self.state.borrow_mut().fill(slot, task);
        drop(refused);
    }
}

/// Spawns tasks in a [`TaskGroup`], from within it for instance. Does not keep the group.
pub struct Spawner<T> {
    shared: Weak<Shared<T>>,
}

impl<T: 'static> Spawner<T> {
    /// As [`TaskGroup::spawn`]. If the group is gone, `future` is dropped.
    ///
    /// # Panics
    /// As [`TaskGroup::spawn`].
    #[track_caller]
    pub fn spawn<F: Future<Output = T> + 'static>(&self, future: F) {
        if let Some(shared) = self.shared.upgrade() {
            shared.spawn(future);
        }
    }
}

impl<T> Clone for Spawner<T> {
    fn clone(&self) -> Self {
        Self { shared: Weak::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for Spawner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_gone = self.shared.strong_count() == 0;
        f.debug_struct("Spawner").field("is_gone", &is_gone).finish_non_exhaustive()
    }
}

impl<T: 'static> Default for TaskGroup<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The results, as [`TaskGroup::join_next`] returns them.
impl<T: 'static> Stream for TaskGroup<T> {
    type Item = Result<T, TaskError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_join_next(cx)
    }
}

impl<T> Drop for TaskGroup<T> {
    fn drop(&mut self) {
        // A spawner, or a task that is being polled, may hold what is shared for a moment more.
        self.shared.state.borrow_mut().is_closed = true;
        self.shared.cancel_all();
    }
}

impl<T> fmt::Debug for TaskGroup<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("len", &self.len())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
