//! Layer 2: holds the tasks and the queue of those that can go on.
//! Imports async-task, `notifier` and `sync`; knows no I/O, no clock, and does not run by itself:
//! the runtime takes one task after the other from it.
//!
//! Invariant: a task's future is polled and dropped on the executor's thread only, wherever its
//! wakers are. That is what the crate's one promise to async-task rests on, see [`spawn()`].

mod future;
mod inbox;
mod shared;
mod task;

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use slotmap::{DefaultKey, SlotMap};

use crate::sync;

pub(crate) use self::future::spawn;
pub(crate) use self::inbox::Inbox;
pub(crate) use self::shared::{PanicLog, Runnable, Shared};
pub use self::task::Task;

/// How long an executor that ends waits for tasks that other threads are about to hand back. A
/// thread that is stopped, or was lost in a fork, never does: its task is leaked then.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long it sleeps before it looks again: a push takes less than a microsecond.
const NAP: Duration = Duration::from_micros(10);

/// Finds the executor that runs on this thread just now; the layer above knows it.
pub(crate) trait Current: 'static {
    fn get() -> Option<Rc<Executor>>;

    /// As `get`, lent, and only if a turn of it is on the stack, which will see what `f` leaves in
    /// its queue: `f` runs under a borrow and must not call out.
    fn with_running<R>(f: impl FnOnce(&Executor) -> R) -> Option<R>;
}

/// The tasks of one runtime.
pub(crate) struct Executor {
    shared: Arc<Shared>,
    /// Tasks that can go on, the next one first.
    queue: RefCell<Vec<Runnable>>,
    /// Those of the round that is under way, the next one last. They come before the queue's.
    round: RefCell<Vec<Runnable>>,
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

impl Executor {
    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            queue: RefCell::default(),
            round: RefCell::default(),
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

    /// Remembers a task that waits.
    fn register(self: Rc<Self>, waker: Waker) -> Registration {
        let slot = self.waiting.borrow_mut().insert(waker);
        Registration { executor: self, slot }
    }

    /// Moves what came from other threads to the end of the queue.
    #[inline]
    pub(crate) fn accept_remote(&self) {
        if self.shared.inbox.has_items() {
            let items = self.shared.inbox.take();
            self.queue.borrow_mut().extend(items);
        }
    }

    /// Begins a round of all tasks that can go on by now, unless an earlier one is not over.
    pub(crate) fn begin_round(&self) {
        let mut round = self.round.borrow_mut();
        if round.is_empty() {
            mem::swap(&mut *round, &mut *self.queue.borrow_mut());
            round.reverse();
        }
    }

    /// The next task of this round.
    #[inline]
    pub(crate) fn next_in_round(&self) -> Option<Runnable> {
        self.round.borrow_mut().pop()
    }

    /// True if a task can go on.
    pub(crate) fn has_ready_tasks(&self) -> bool {
        let is_empty = self.round.borrow().is_empty() && self.queue.borrow().is_empty();
        !is_empty || self.shared.inbox.has_items()
    }

    /// Drops the futures of all tasks but of those that the caller is `polling`, which never end:
    /// a turn borrows its runtime, so the process is exiting. What another thread holds on to is
    /// leaked.
    pub(crate) fn close(&self, polling: usize) {
        self.is_closing.set(true);
        self.shared.inbox.close_to_new();
        let mut patience = PATIENCE;
        loop {
            let wakers: Vec<_> = self.waiting.borrow().values().cloned().collect();
            wakers.into_iter().for_each(Waker::wake);
            self.accept_remote();
            self.begin_round();
            while let Some(runnable) = self.next_in_round() {
                drop(runnable);
            }
            if self.has_ready_tasks() {
                continue;
            }
            if self.waiting.borrow().len() <= polling || patience.is_zero() {
                break;
            }
            // A wake on another thread has claimed a task and is about to push it. That takes no
            // time, unless that thread does not get any: let it have this one's.
            sync::nap(NAP);
            patience = patience.saturating_sub(NAP);
        }
        drop(self.shared.inbox.close());
    }
}
