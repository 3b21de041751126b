//! Layer 2: holds the tasks and the queue of those that can go on.
//! Imports async-task and `notifier`; knows no I/O, no clock, and does not run by itself: the
//! runtime takes one task after the other from it.
//!
//! Invariant: a task's future is polled and dropped on the executor's thread only, wherever its
//! wakers are. That is what the crate's one promise to async-task rests on, see [`spawn`].

mod inbox;
mod task;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

/// A task that can go on. It knows the executor that it belongs to.
pub(crate) type Runnable = async_task::Runnable<Arc<Shared>>;

use slotmap::{DefaultKey, SlotMap};

pub(crate) use self::inbox::Inbox;
pub(crate) use self::task::PanicLog;
pub use self::task::Task;
use self::task::{TaskFuture, leak};

/// Finds the executor that runs on this thread just now; the layer above knows it.
pub(crate) trait Current: 'static {
    fn get() -> Option<Rc<Executor>>;

    /// As `get`, lent, and only if a turn of it is on the stack, which will see what `f` leaves in
    /// its queue: `f` runs under a borrow and must not call out.
    fn with_running<R>(f: impl FnOnce(&Executor) -> R) -> Option<R>;
}

/// The part of an executor that other threads reach.
pub(crate) struct Shared {
    pub(crate) inbox: Inbox<Runnable>,
    pub(crate) panics: PanicLog,
}

/// The tasks of one runtime.
pub(crate) struct Executor {
    shared: Arc<Shared>,
    /// Tasks that can go on, the next one first.
    queue: RefCell<VecDeque<Runnable>>,
    /// One waker of each task that waits, to reach it when the executor ends.
    waiting: RefCell<SlotMap<DefaultKey, Waker>>,
    is_closing: Cell<bool>,
}

/// Keeps a task that waits known to its executor; dropped with the task's future.
pub(crate) struct Registration {
    executor: Rc<Executor>,
    slot: DefaultKey,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let waker = self.executor.waiting.borrow_mut().remove(self.slot);
        drop(waker);
    }
}

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
            executor.queue.borrow_mut().push_back(runnable);
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
    shared.inbox.push(runnable).unwrap_or_else(leak);
}

impl Executor {
    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            queue: RefCell::default(),
            waiting: RefCell::default(),
            is_closing: Cell::new(false),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// True if tasks with this shared part are tasks of this executor.
    pub(crate) fn serves(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

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
            self.queue.borrow_mut().push_back(runnable);
        }
        task
    }

    /// Remembers a task that waits.
    fn register(self: Rc<Self>, waker: Waker) -> Registration {
        let slot = self.waiting.borrow_mut().insert(waker);
        Registration { executor: self, slot }
    }

    /// Moves what came from other threads to the end of the queue.
    pub(crate) fn accept_remote(&self) {
        if self.shared.inbox.has_items() {
            self.queue.borrow_mut().extend(self.shared.inbox.take());
        }
    }

    /// The next task that can go on.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Runnable> {
        self.queue.borrow_mut().pop_front()
    }

    /// How many tasks can go on, but for those that other threads have woken just now.
    #[inline]
    pub(crate) fn queue_len(&self) -> usize {
        self.queue.borrow().len()
    }

    /// True if a task can go on.
    pub(crate) fn has_ready_tasks(&self) -> bool {
        !self.queue.borrow().is_empty() || self.shared.inbox.has_items()
    }

    /// True once [`close`](Self::close) was called.
    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.get()
    }

    /// Drops the futures of all tasks. A task that is being polled by the caller is dropped by
    /// another call, when its poll has ended.
    ///
    /// One whose waker is being called on another thread at this moment may be out of reach: it
    /// is leaked there.
    pub(crate) fn close(&self) {
        self.is_closing.set(true);
        loop {
            let wakers: Vec<_> = self.waiting.borrow().values().cloned().collect();
            wakers.into_iter().for_each(Waker::wake);
            self.accept_remote();
            if self.queue.borrow().is_empty() {
                break;
            }
            while let Some(runnable) = self.pop() {
                drop(runnable);
            }
        }
        drop(self.shared.inbox.close());
    }
}
