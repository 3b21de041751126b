//! Layer 3: joins the reactor and the executor into a loop that stays yours.
//! Imports both. Invariant: a runtime is current, and marked as running, exactly while a turn or
//! a `block_on` of it is on the stack.

mod builder;
mod current;
mod deadline;
mod inner;
#[cfg(all(test, loom))]
mod loom;
mod remote;
mod root;
mod yield_now;

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

pub use self::builder::{Builder, UnobservedPanic};
pub(crate) use self::current::reactor as current_reactor;
pub(crate) use self::deadline::Deadline;
pub use self::inner::Turn;
pub use self::remote::Remote;
pub use self::yield_now::{YieldNow, yield_now};

use self::current::{Current, Entered};
use self::inner::{Inner, NoRoot};
use self::root::BlockOn;
use crate::executor::{Executor, Inbox, PanicLog, Shared, Task};
use crate::reactor::Reactor;
use crate::selector::{Backend, BackendKind};

/// Async tasks on one thread, over one selector, in a loop that stays yours.
///
/// [`block_on`](Self::block_on) is the loop for who has none. Who has one calls
/// [`turn`](Self::turn) in it, and finds out when to do so by the runtime's descriptor
/// ([`AsFd`]), [`next_deadline`](Self::next_deadline) and
/// [`has_ready_tasks`](Self::has_ready_tasks); see the [guide](crate::guide::embedding).
///
/// A runtime has no thread and no global beside it; there may be one or more on every thread.
/// Dropping it drops every task, on this thread.
///
/// ```
/// use selkie::Runtime;
///
/// let runtime = Runtime::new()?;
/// let task = runtime.spawn(async { 6 * 7 });
/// assert_eq!(runtime.block_on(task)?, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    inner: Rc<Inner>,
    /// From the first time that it is asked for: it costs descriptors and system calls, which a
    /// runtime that nobody embeds can do without.
    descriptor: OnceCell<OwnedFd>,
}

impl Builder {
    /// Makes the runtime.
    ///
    /// # Errors
    /// As the system's, when it has no descriptor or memory to spare; of kind `InvalidInput` if
    /// `SELKIE_BACKEND` names no back end, and `Unsupported` for [`timer_fd`](Self::timer_fd) on
    /// a system without one.
    pub fn build(self) -> io::Result<Runtime> {
        let kind = match self.backend {
            Some(kind) => kind,
            None => BackendKind::from_env()?,
        };
        self.build_with(kind.open()?)
    }

    /// As [`build`](Self::build), over a back end of your own.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_with(self, backend: Box<dyn Backend + Send>) -> io::Result<Runtime> {
        Runtime::open(&self, backend)
    }
}

impl Runtime {
    /// A runtime with the usual settings; [`Builder`] makes others.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Builder::new().build()
    }

    fn open(builder: &Builder, backend: Box<dyn Backend + Send>) -> io::Result<Self> {
        let reactor = Reactor::new(backend, builder.event_capacity, builder.timer_fd)?;
        let shared = Shared {
            inbox: Inbox::new(reactor.notifier()),
            panics: PanicLog::new(builder.unobserved_panic == UnobservedPanic::Resume),
        };
        let inner = Inner {
            executor: Rc::new(Executor::new(shared)),
            reactor: Rc::new(reactor),
            polls_per_turn: builder.polls_per_turn.get().into(),
            operations_per_poll: builder.operations_per_poll.get().into(),
            is_running: Cell::new(false),
        };
        Ok(Self { inner: Rc::new(inner), descriptor: OnceCell::new() })
    }

    /// Runs `future` to its end, and with it all tasks, blocking this thread. Tasks that have
    /// not ended by then stay in the runtime for the next call.
    ///
    /// # Errors
    /// As the system's, when it cannot be asked for readiness any more. Nothing that has been
    /// found ready is lost by it. If `future` ends in the very turn that fails, its value is
    /// returned instead; an error that lasts is that of the next turn.
    ///
    /// # Panics
    /// If called inside a `block_on`, a turn or a task: that would block the loop that runs it.
    /// Await the future there, or spawn it.
    pub fn block_on<F: Future>(&self, future: F) -> io::Result<F::Output> {
        assert!(
            !current::is_running(),
            "block_on was called inside a running selkie runtime, which would block it; await \
             the future there, or spawn it"
        );
        // First, so that the future is dropped inside the runtime, in a panic too.
        let _running = self.inner.start();
        let future = pin!(future);
        let mut root = BlockOn::new(future, self.inner.executor.shared().clone());
        loop {
            let turn = self.inner.turn(None, &mut root);
            let turn = self.inner.reactor.end_turn().and(turn);
            // Before an error: a value can be had once only, and an error that lasts comes again.
            if let Some(value) = root.take_value() {
                return Ok(value);
            }
            turn?;
        }
    }

    /// One go round the loop: looks at I/O, waiting at most `timeout` (`None`: for ever; zero:
    /// not at all) if no task can go on, fires due timers, and polls a bounded number of tasks.
    ///
    /// Waits no longer than until the [`next_deadline`](Self::next_deadline), and not at all
    /// while [`has_ready_tasks`](Self::has_ready_tasks). A wake-up or a task from another thread
    /// ends the wait. Returns what was done, and whether there is [`more`](Turn::more) to do.
    ///
    /// # Errors
    /// As the system's, when it cannot be asked for readiness; timers and tasks have had their
    /// turn all the same, and nothing that has been found ready is lost.
    ///
    /// # Panics
    /// If called inside a turn or a task of this same runtime. (A turn of another runtime inside
    /// a task is fine.)
    pub fn turn(&self, timeout: Option<Duration>) -> io::Result<Turn> {
        let _running = self.inner.start();
        let turn = self.inner.turn(timeout, &mut NoRoot);
        self.inner.reactor.end_turn().and(turn)
    }

    /// Spawns a task, which is first polled in a turn.
    pub fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.inner.spawn(future)
    }

    /// Makes this the current runtime of the thread while `f` runs, so that `f` may make sources
    /// and timers outside a task.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        let _entered = current::enter(Rc::clone(&self.inner));
        f()
    }

    /// When the earliest timer is due that a task waits for: a turn has something to do then.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.inner.reactor.next_deadline()
    }

    /// True if a task can go on: a turn has something to do now.
    #[must_use]
    pub fn has_ready_tasks(&self) -> bool {
        self.inner.executor.has_ready_tasks()
    }

    /// A handle for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        Remote::new(self.inner.executor.shared().clone())
    }

    /// The descriptor of [`AsFd`], where the back end has one.
    ///
    /// The first call opens it, and returns `None` if the system has none to spare then. It is
    /// one and the same from there on.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.open_descriptor().ok().flatten()
    }

    fn open_descriptor(&self) -> io::Result<Option<BorrowedFd<'_>>> {
        if self.descriptor.get().is_none()
            && let Some(descriptor) = self.inner.reactor.descriptor()?
        {
            return Ok(Some(self.descriptor.get_or_init(|| descriptor).as_fd()));
        }
        Ok(self.descriptor.get().map(OwnedFd::as_fd))
    }
}

impl AsFd for Runtime {
    /// A descriptor to watch, by level, in a foreign loop: readable while a
    /// [`turn`](Runtime::turn) has something to do, be it I/O, a wake-up or a new task from any
    /// thread, tasks that the last turn had no room for, or, with [`Builder::timer_fd`], a timer.
    ///
    /// # Panics
    /// If the back end has none: poll(2) and select(2) are calls, not things. Choose another
    /// with [`Builder::backend`]. And if the system has no descriptor to spare when it is first
    /// asked for. [`descriptor`](Runtime::descriptor) returns `None` then.
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.open_descriptor() {
            Ok(Some(descriptor)) => descriptor,
            Ok(None) => panic!(
                "this runtime's back end has no descriptor that another loop could watch; build \
                 the runtime with Builder::backend(BackendKind::DEFAULT)"
            ),
            Err(error) => panic!(
                "the runtime's descriptor could not be opened: {error}; call descriptor first, \
                 which returns None for that, and again when there is one to spare"
            ),
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("has_ready_tasks", &self.has_ready_tasks())
            .field("next_deadline", &self.next_deadline())
            .finish_non_exhaustive()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _entered = current::enter(Rc::clone(&self.inner));
        // Inside one of its own tasks if a thread-local runtime's task exits the process.
        self.inner.executor.close(usize::from(self.inner.is_running.get()));
        self.inner.reactor.close();
    }
}

/// Marks a runtime as running, and as the thread's current one.
struct Running {
    inner: Rc<Inner>,
    _entered: Entered,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.inner.is_running.set(false);
        self.inner.rest();
    }
}

impl Inner {
    fn start(self: &Rc<Self>) -> Running {
        assert!(
            !self.is_running.replace(true),
            "a turn of this runtime was called inside one of its own tasks; return to the loop \
             instead, or spawn another task"
        );
        let _entered = current::run(Rc::clone(self));
        Running { inner: Rc::clone(self), _entered }
    }

    fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let task = self.executor.spawn::<F, Current>(future);
        if !self.is_running.get() {
            self.executor.shared().inbox.rouse();
        }
        task
    }
}

/// Runs `future` to its end on a new [`Runtime`] with the usual settings, blocking this thread.
/// The tasks that are left are dropped.
///
/// # Errors
/// As [`Runtime::new`] and [`Runtime::block_on`].
///
/// # Panics
/// As [`Runtime::block_on`].
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    Runtime::new()?.block_on(future)
}

/// Spawns a task on the current runtime.
///
/// # Panics
/// If called outside [`Runtime::block_on`], [`Runtime::enter`] and tasks.
#[track_caller]
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    match current::get() {
        Some(inner) => inner.spawn(future),
        None => current::no_runtime(),
    }
}
