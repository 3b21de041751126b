//! Layer 3: holds the tasks and the queue of those that can go on. Does not run by itself: the
//! runtime takes one task after the other from it. Carries the reactor, and calls nothing of it
//! but what says whether a turn is on the stack.
//! Invariant: a task's future is polled and dropped on the executor's thread only, wherever its
//! wakers are. That is what the crate's one promise to async-task rests on, see [`spawn()`].

mod abort;
mod counters;
pub(crate) mod current;
mod ended;
mod future;
mod handle;
mod id;
mod inbox;
mod locals;
mod noted;
mod notes;
mod origin;
mod panic_log;
mod queues;
mod running;
mod seen;
mod shared;
mod sights;
mod table;
mod task;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::reactor::Reactor;
use crate::sync;

pub use self::abort::AbortHandle;
pub use self::ended::{Panic, TaskError};
pub(crate) use self::future::spawn;
pub(crate) use self::id::Name;
pub use self::id::TaskId;
pub(crate) use self::inbox::Inbox;
pub(crate) use self::locals::{Locals, Settings};
pub(crate) use self::noted::Noted;
pub(crate) use self::panic_log::PanicLog;
pub(crate) use self::running::RunningCell;
pub use self::running::RunningTask;
pub use self::seen::TaskState;
pub(crate) use self::seen::{Shown, Sight};
pub(crate) use self::shared::{More, Origin, Runnable, Shared};
pub(crate) use self::sights::Rooted;
pub use self::task::{Outcome, Task};

use self::origin::OriginRef;
use self::queues::Queues;
use self::sights::Sights;
use self::table::{Table, give_back};

/// How long an executor that ends waits for tasks that other threads are about to hand back. A
/// thread that is stopped, or was lost in a fork, never does: its task is leaked then.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long it sleeps before it looks again: a push takes less than a microsecond.
const NAP: Duration = Duration::from_micros(10);

/// How often an executor that ends drops the tasks that destructors of tasks have spawned. A
/// destructor may spawn a task with such a destructor, and so on without end; a chain of this
/// length is no accident, and is leaked from there on.
const GENERATIONS: usize = 1000;

/// The tasks of one runtime.
pub(crate) struct Executor {
    shared: Arc<Shared>,
    pub(crate) reactor: Rc<Reactor>,
    pub(crate) locals: Locals,
    queues: RefCell<Queues<Runnable>>,
    /// Scratch: what the inbox had.
    arrived: Cell<Vec<Runnable>>,
    /// One waker of each task that waits, to reach it when the executor ends.
    waiting: RefCell<Table<Sleeper>>,
    spawning: Cell<Spawning>,
    sights: Sights,
}

/// A task that has begun to wait, and has not ended.
struct Sleeper {
    waker: Waker,
    origin: OriginRef,
}

/// What becomes of a task that is spawned.
/// Queues ─close→ QueuesToDrop ─too many generations→ Leaks; at the end of close: Drops
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spawning {
    Queues,
    /// It is queued, and dropped from there: not at once, inside the destructor that spawned it.
    QueuesToDrop,
    /// At once; what its destructor spawns is leaked.
    Drops,
    Leaks,
}

/// Keeps a task that waits known to its executor; dropped with the task's future.
struct Listed {
    executor: Rc<Executor>,
    id: TaskId,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let sleeper = self.executor.waiting.borrow_mut().remove(self.id);
        drop(sleeper);
    }
}

impl Executor {
    pub(crate) fn new(shared: Shared, reactor: Reactor, settings: Settings) -> Self {
        Self {
            shared: Arc::new(shared),
            reactor: Rc::new(reactor),
            locals: Locals::new(settings),
            queues: RefCell::default(),
            arrived: Cell::default(),
            waiting: RefCell::default(),
            spawning: Cell::new(Spawning::Queues),
            sights: Sights::new(),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// True if tasks with this shared part are tasks of this executor.
    #[inline]
    pub(crate) fn serves(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// True while a turn or a `block_on` is on the stack.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.reactor.is_running()
    }

    /// Remembers a task that waits.
    fn list(self: Rc<Self>, origin: OriginRef, waker: Waker) -> Listed {
        // SAFETY: its future, of which `Listed` becomes a part, is being polled.
        let known = unsafe { origin.get() };
        known.set_spawned(|| self.recently());
        let id = known.id;
        self.waiting.borrow_mut().insert(id, Sleeper { waker, origin });
        Listed { executor: self, id }
    }

    /// Moves what came from other threads to the end of the queue.
    #[inline]
    pub(crate) fn accept_remote(&self) {
        if self.shared.inbox.has_items() {
            self.take_arrived();
        }
    }

    #[cold]
    fn take_arrived(&self) {
        let mut arrived = self.arrived.take();
        self.shared.inbox.take_into(&mut arrived);
        self.counters().remote.add(arrived.len());
        self.note_arrived(&arrived);
        self.queues.borrow_mut().append(&mut arrived);
        give_back(&mut arrived);
        self.arrived.set(arrived);
    }

    /// Begins a round of all tasks that can go on by now, unless an earlier one is not over.
    #[inline]
    pub(crate) fn begin_round(&self) {
        if self.queues.borrow_mut().begin_round() {
            self.reactor.count_round();
        }
    }

    /// The next task of this round.
    #[inline]
    pub(crate) fn next_in_round(&self) -> Option<Runnable> {
        self.queues.borrow_mut().next_in_round()
    }

    /// True if a task can go on.
    #[inline]
    pub(crate) fn has_ready_tasks(&self) -> bool {
        self.has_woken_tasks() || self.shared.inbox.has_items()
    }

    /// True if a task can go on that was woken on this thread, or accepted from another.
    #[inline]
    pub(crate) fn has_woken_tasks(&self) -> bool {
        !self.queues.borrow().is_empty()
    }

    /// The loop is left: from here on whoever comes makes the descriptor readable, as do those who
    /// could not go on.
    fn sleep(&self) {
        // The turn has done it and returned the error, unless a panic has left the turn.
        let _ = self.reactor.set_alarm();
        self.shared.inbox.fall_asleep();
        if self.has_ready_tasks() || self.reactor.has_due_timers() {
            self.shared.inbox.rouse();
        }
    }

    /// Drops the futures of all tasks, on this thread. `polling` is how many of them are being
    /// polled now: none, or one that ends the process, and is not waited for. A task that another
    /// thread does not hand back in time is leaked.
    pub(crate) fn close(&self, polling: usize) {
        self.spawning.set(Spawning::QueuesToDrop);
        self.shared.inbox.close_to_new();
        let (mut patience, mut generations) = (PATIENCE, 0);
        loop {
            let wakers: Vec<_> =
                self.waiting.borrow().values().map(|sleeper| sleeper.waker.clone()).collect();
            wakers.into_iter().for_each(Waker::wake);
            self.accept_remote();
            self.begin_round();
            while let Some(runnable) = self.next_in_round() {
                drop(runnable);
            }
            if self.has_ready_tasks() {
                generations += 1;
                if generations == GENERATIONS {
                    self.spawning.set(Spawning::Leaks);
                }
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
        self.spawning.set(Spawning::Drops);
        drop(self.shared.inbox.close());
    }
}
