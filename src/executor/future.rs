//! Layer 3: makes tasks of futures, and puts them into the queue when they are woken.
//! Invariant: what comes out of the queue or the inbox of an executor is run and dropped on its
//! thread only.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::ended::{Ended, watch};
use super::handle::Inner;
use super::id::Name;
use super::origin::OriginRef;
use super::shared::{Origin, Runnable};
use super::task::Task;
use super::{Executor, Listed, Spawning, current};
use crate::panics::catch;

/// Makes a task of `future`, which is yet to be scheduled.
///
/// `future` may be `!Send`: on another thread than the executor's own, only a future that is
/// still `Send`, because it was not polled yet, may be passed in.
pub(crate) fn spawn<F>(origin: Origin, future: F) -> (Runnable, Task<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    let future = |origin: &Origin| {
        let origin = OriginRef::new(origin);
        TaskFuture { future: Some(future), listed: None, origin }
    };
    // A schedule function that captures nothing spares async-task a reference count on each wake;
    // the metadata is where the executor is found instead.
    let builder = async_task::Builder::new().metadata(origin);
    // SAFETY: `spawn_unchecked` needs, for a future that is not `Send`, that the `Runnable` is
    // used and dropped on the thread that spawned it; and `Send`, `Sync` and `'static` of the
    // schedule function, for wakers go anywhere: it captures nothing, the metadata is an
    // `Origin`, which is all of these, and the future is `'static`. Runnables reach
    // `Executor::queues`, which never leaves its thread, or the inbox, which only the executor's
    // thread empties, and which leaks, on whatever thread, what comes after the executor is gone.
    // `Shared` is not dropped with runnables in its inbox: each of them owns a reference to it.
    // Who could break it: a caller that sends the `Runnable` elsewhere (`Remote::spawn` does,
    // before the first poll, when the future is a `Send` closure), and code that runs or drops
    // what it finds in the inbox.
    let (runnable, task) = unsafe { builder.spawn_unchecked(future, schedule) };
    let task = Task::new(Inner::new(&runnable, task));
    (runnable, task)
}

/// Puts a task that can go on into the queue: within a turn without lock or system call, else by
/// the inbox, which rouses the loop.
fn schedule(runnable: Runnable) {
    let mut elsewhere = Some(runnable);
    current::with(|executor| {
        if executor.is_running()
            && let Some(runnable) = elsewhere.take_if(|r| executor.serves(&r.metadata().shared))
        {
            executor.reactor.probe.woken(runnable.metadata().id.0);
            executor.queues.borrow_mut().push(runnable);
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
    let shared = Arc::clone(&runnable.metadata().shared);
    // The future may be `!Send`, and its thread has no loop any more that could drop it.
    shared.inbox.push(runnable).unwrap_or_else(mem::forget);
}

impl Executor {
    /// Spawns a task on this executor's own thread; it is polled when its turn comes.
    #[track_caller]
    pub(crate) fn spawn<F>(&self, name: Option<Name>, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let origin = self.shared.origin(Some(self.recently()), name);
        self.reactor.probe.spawned(origin.id.0, origin.spawned_at, origin.name());
        let (runnable, task) = spawn(origin, future);
        match self.spawning.get() {
            Spawning::Queues | Spawning::QueuesToDrop => {}
            Spawning::Drops => {
                self.spawning.set(Spawning::Leaks);
                drop(runnable);
                self.spawning.set(Spawning::Drops);
                return task;
            }
            Spawning::Leaks => {
                mem::forget(runnable);
                return task;
            }
        }
        self.queues.borrow_mut().push(runnable);
        if !self.is_running() {
            self.shared.inbox.rouse();
        }
        task
    }
}

pin_project! {
    /// The future of a task: catches its panics, those of its destructors too, and lists the
    /// task with the executor when it first has to wait.
    struct TaskFuture<F> {
        // `None`: it has ended.
        #[pin]
        future: Option<F>,
        listed: Option<Listed>,
        origin: OriginRef,
    }

    impl<F> PinnedDrop for TaskFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let (mut future, origin) = (this.future, *this.origin);
            if future.is_some() {
                // Nobody awaits a task that is dropped; async-task would abort.
                watch(|| future.set(None));
                ended(origin);
            }
        }
    }
}

/// Notes that a task's future is gone. The task itself may be, before all who wait for it are
/// woken.
// Not inlined, so that a poll stays short: 9 of 535 instructions of a message.
#[inline(never)]
fn ended(origin: OriginRef) {
    current::with(|executor| {
        // SAFETY: called by the task's future.
        let Origin { id, shared, .. } = unsafe { origin.get() };
        // A task that its runtime has refused is dropped where it was spawned, perhaps in another.
        if executor.serves(shared) {
            executor.is_polled_no_more(origin);
            executor.counters().ended.add(1);
            executor.reactor.probe.ended(id.0);
        }
    });
}

impl<F: Future> Future for TaskFuture<F> {
    type Output = Ended<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = catch(|| {
            let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
            let polled = future.poll(cx);
            if polled.is_ready() {
                this.future.set(None);
            } else if this.listed.is_none() {
                let waker = cx.waker().clone();
                *this.listed = current::get().map(|executor| executor.list(*this.origin, waker));
            }
            polled
        });
        // The usual way out, before anything else is looked at.
        if let Ok(Poll::Pending) = polled {
            return Poll::Pending;
        }
        if this.future.is_none() {
            ended(*this.origin);
        }
        match polled {
            Ok(polled) => polled.map(Ended::with_value),
            Err(payload) => {
                current::with(|executor| executor.sights.has_panicked.set(true));
                Poll::Ready(Ended::panicked(payload))
            }
        }
    }
}
