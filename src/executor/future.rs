//! Layer 2: makes tasks of futures, and puts them into the queue when they are woken.
//! Imports async-task and its siblings. Invariant: what comes out of the queue or the inbox of an
//! executor is run and dropped on its thread only.

use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::shared::{Payload, Runnable, Shared};
use super::task::{Panicked, Task};
use super::{Current, Executor, Registration};

/// Makes a task of `future`, which is yet to be scheduled.
///
/// `future` may be `!Send`: on another thread than the executor's own, only a future that is
/// still `Send`, because it was not polled yet, may be passed in.
pub(crate) fn spawn<F, C>(shared: Arc<Shared>, future: F) -> (Runnable, Task<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
    C: Current,
{
    let future = TaskFuture::<F, C>::new(future);
    // A schedule function that captures nothing spares async-task a reference count on each wake;
    // the metadata is where the executor is found instead.
    let builder = async_task::Builder::new().metadata(shared);
    // SAFETY: `spawn_unchecked` needs, for a future that is not `Send`, that the `Runnable` is
    // used and dropped on the thread that spawned it; and `Send`, `Sync` and `'static` of the
    // schedule function, for wakers go anywhere: it captures nothing, the metadata is an
    // `Arc<Shared>`, which is all of these, and the future is `'static`. Runnables reach
    // `Executor::queue`, which never leaves its thread, or the inbox, which only the executor's
    // thread empties, and which leaks, on whatever thread, what comes after the executor is gone.
    // `Shared` is not dropped with runnables in its inbox: each of them owns a reference to it.
    // Who could break it: a caller that sends the `Runnable` elsewhere (`Remote::spawn` does,
    // before the first poll, when the future is a `Send` closure), and code that runs or drops
    // what it finds in the inbox.
    let (runnable, task) = unsafe { builder.spawn_unchecked(|_| future, schedule::<C>) };
    (runnable, Task::new(task.fallible()))
}

/// Puts a task that can go on into the queue: within a turn without lock or system call, else by
/// the inbox, which rouses the loop.
fn schedule<C: Current>(runnable: Runnable) {
    let mut elsewhere = Some(runnable);
    C::with_running(|executor| {
        if let Some(runnable) = elsewhere.take_if(|r| executor.serves(r.metadata())) {
            executor.queue.borrow_mut().push(runnable);
        }
    });
    if let Some(runnable) = elsewhere {
        send(runnable);
    }
}

/// Hands a task over to its executor's thread.
#[cold]
fn send(runnable: Runnable) {
    // Once the runnable is in the inbox, its thread may end the task, and the metadata.
    let shared = Arc::clone(runnable.metadata());
    // The future may be `!Send`, and its thread has no loop any more that could drop it.
    shared.inbox.push(runnable).unwrap_or_else(mem::forget);
}

impl Executor {
    /// Spawns a task on this executor's own thread; it is polled when its turn comes.
    pub(crate) fn spawn<F, C>(&self, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
        C: Current,
    {
        let (runnable, task) = spawn::<F, C>(Arc::clone(&self.shared), future);
        if self.is_closing.get() {
            drop(runnable);
        } else {
            self.queue.borrow_mut().push(runnable);
        }
        task
    }
}

pin_project! {
    /// The future of a task: catches its panics, those of its destructors too, and registers the
    /// task with the executor when it first has to wait.
    struct TaskFuture<F, C: Current> {
        // `None`: it has ended.
        #[pin]
        future: Option<F>,
        registration: Option<Registration>,
        current: PhantomData<fn() -> C>,
    }

    impl<F, C: Current> PinnedDrop for TaskFuture<F, C> {
        fn drop(this: Pin<&mut Self>) {
            let mut future = this.project().future;
            if future.is_some() {
                // Nobody awaits a task that is dropped; async-task would abort.
                let dropped = panic::catch_unwind(AssertUnwindSafe(|| future.set(None)));
                if let Err(payload) = dropped {
                    drop(panicked::<C>(payload));
                }
            }
        }
    }
}

impl<F, C: Current> TaskFuture<F, C> {
    fn new(future: F) -> Self {
        Self { future: Some(future), registration: None, current: PhantomData }
    }
}

impl<F: Future, C: Current> Future for TaskFuture<F, C> {
    type Output = Result<F::Output, Panicked>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = panic::catch_unwind(AssertUnwindSafe(|| {
            let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
            let polled = future.poll(cx);
            if polled.is_ready() {
                this.future.set(None);
            } else if this.registration.is_none() {
                *this.registration = C::get().map(|e| e.register(cx.waker().clone()));
            }
            polled
        }));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(payload) => Poll::Ready(Err(panicked::<C>(payload))),
        }
    }
}

fn panicked<C: Current>(payload: Payload) -> Panicked {
    Panicked::new(payload, C::get().map(|executor| Arc::clone(executor.shared())))
}
