//! Layer 4: joins the reactor and the executor into a loop that stays yours.
//! Invariant: a runtime is current, and marked as running, exactly while a turn or a `block_on` of
//! it is on the stack.

mod builder;
mod embedded;
mod local;
#[cfg(all(test, loom))]
mod loom;
mod remote;
mod root;
mod round;
mod slow_poll;
mod turn;
mod watch;
mod yield_now;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

pub use self::builder::{Builder, UnobservedPanic};
pub use self::local::{local, setting};
pub use self::remote::Remote;
pub use self::slow_poll::SlowPoll;
pub use self::turn::Turn;
pub use self::yield_now::{ConsumeBudget, YieldNow, consume_budget, yield_now};

use self::builder::{AfterPanic, Choice};
use self::root::BlockOn;
use self::slow_poll::TellsSlow;
use crate::executor::current::{self, Entered, Running};
use crate::executor::{Executor, Inbox, PanicLog, RunningCell, Shared, Task};
use crate::panics::FirstPanic;
use crate::probe::Notes;
use crate::reactor::Reactor;
use crate::selector::world::{self, World};
use crate::selector::{Backend, BackendKind, Until};
use crate::sys::OwnedFd;

/// Async tasks on one thread, over one selector, in a loop that stays yours.
///
/// [`block_on`](Self::block_on) is the loop for who has none. Who has one calls
/// [`turn`](Self::turn) in it, and finds out when to do so by the runtime's descriptor
/// ([`AsFd`](std::os::fd::AsFd)) and [`next_timeout`](Self::next_timeout); see the [guide](crate::guide::embedding).
/// A loop of frames calls [`run_until`](Self::run_until).
///
/// A runtime has no thread and no global beside it; there may be one or more on every thread.
/// Dropping it drops every task, on this thread.
///
/// ```
/// use selkie::Runtime;
///
/// let runtime = Runtime::new()?;
/// let task = runtime.spawn(async { 6 * 7 });
/// assert_eq!(runtime.block_on(task), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    executor: Rc<Executor>,
    polls_per_turn: usize,
    operations_per_poll: i64,
    slow_poll: Option<TellsSlow>,
    after_panic: Option<AfterPanic>,
    /// From the first time that it is asked for: it costs descriptors and system calls, which a
    /// runtime that nobody embeds can do without.
    descriptor: OnceCell<OwnedFd>,
}

impl Builder {
    /// Makes the runtime, in the [`world`](crate::world) of this thread: usually that is the system.
    ///
    /// # Errors
    /// As the system's, when it has no descriptor or memory to spare; of kind `InvalidInput` if
    /// [`backend_from_env`](Self::backend_from_env) was asked for and `SELKIE_BACKEND` names no
    /// back end, and `Unsupported` for [`timer_fd`](Self::timer_fd) on a system without one.
    pub fn build(self) -> io::Result<Runtime> {
        let kind = match self.backend {
            Choice::Kind(kind) => kind,
            Choice::Environment => BackendKind::from_env()?,
        };
        let world = world::current();
        let has_systems_clock = world.is_none();
        Runtime::open(self, kind.open()?, world, has_systems_clock)
    }

    /// As [`build`](Self::build), over a back end of your own.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_with(self, backend: Box<dyn Backend + Send>) -> io::Result<Runtime> {
        Runtime::open(self, backend, world::current(), false)
    }

    /// As [`build_with`](Self::build_with), in a [`world`](crate::world) of your own, whose clock
    /// is that of the back end.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_in(
        self,
        backend: Box<dyn Backend + Send>,
        world: Rc<dyn World>,
    ) -> io::Result<Runtime> {
        Runtime::open(self, backend, Some(world), false)
    }
}

impl Runtime {
    /// A runtime with the usual settings, over the back end that `SELKIE_BACKEND` names, or else
    /// the most efficient one; [`Builder`] makes others.
    ///
    /// # Errors
    /// As the system's, when it has no descriptor or memory to spare; of kind `InvalidInput` if
    /// `SELKIE_BACKEND` names no back end.
    pub fn new() -> io::Result<Self> {
        Builder::new().backend_from_env().build()
    }

    fn open(
        builder: Builder,
        backend: Box<dyn Backend + Send>,
        world: Option<Rc<dyn World>>,
        has_systems_clock: bool,
    ) -> io::Result<Self> {
        let is_timed = builder.timing || builder.slow_poll.is_some();
        let (capacity, timer_fd) = (builder.event_capacity, builder.timer_fd);
        let notes = Notes { times: is_timed, records: builder.records, has_systems_clock };
        let reactor = Reactor::new(backend, world, capacity, timer_fd, notes)?;
        let inbox = Inbox::new(reactor.notifier());
        let panics = PanicLog::new(builder.unobserved_panic == UnobservedPanic::Resume);
        let running = is_timed.then(|| RunningCell::new(reactor.probe.started()));
        let shared = Shared::new(inbox, panics, running);
        let executor = Executor::new(shared, reactor, builder.settings);
        Ok(Self {
            executor: Rc::new(executor),
            polls_per_turn: builder.polls_per_turn as usize,
            operations_per_poll: builder.operations_per_poll.into(),
            slow_poll: builder.slow_poll,
            after_panic: builder.after_panic,
            descriptor: OnceCell::new(),
        })
    }

    /// Runs `future` to its end, and with it all tasks, blocking this thread. Tasks that have
    /// not ended by then stay in the runtime for the next call. Returns the future's value.
    ///
    /// # Panics
    /// If called inside a `block_on`, a turn or a task: that would block the loop that runs it.
    /// Await the future there, or spawn it. And if the system cannot be asked for readiness any
    /// more; [`try_block_on`](Self::try_block_on) returns that as an error.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self.try_block_on(future) {
            Ok(value) => value,
            Err(error) => panic!(
                "the loop of block_on cannot go on, since the system cannot be asked for \
                 readiness: {error}; use try_block_on to have that as an error"
            ),
        }
    }

    /// As [`block_on`](Self::block_on), but an error of the system does not panic.
    ///
    /// # Errors
    /// As the system's, when it cannot be asked for readiness any more. Nothing that has been
    /// found ready is lost by it. If `future` ends in the very turn that fails, its value is
    /// returned instead; an error that lasts is that of the next turn.
    ///
    /// # Panics
    /// If called inside a `block_on`, a turn or a task, as [`block_on`](Self::block_on).
    #[track_caller]
    pub fn try_block_on<F: Future>(&self, future: F) -> io::Result<F::Output> {
        assert!(
            !current::is_any_running(),
            "block_on was called inside a running selkie runtime, which would block it; await \
             the future there, or spawn it"
        );
        // First, so that the future is dropped inside the runtime, in a panic too.
        let _running = Running::start(&self.executor);
        let future = pin!(future);
        let executor = &self.executor;
        let mut root = BlockOn::new(future, executor.shared().root_origin(executor.recently()));
        let _shown = root.show(executor);
        loop {
            let turn = self.go_round(Until::Never, Some(&mut root));
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
    #[track_caller]
    pub fn turn(&self, timeout: Option<Duration>) -> io::Result<Turn> {
        let _running = Running::start(&self.executor);
        self.go_round(Until::after(timeout, || self.executor.reactor.now()), None)
    }

    /// Takes turns until `deadline`, by the [clock](Self::now) of the runtime, and returns then,
    /// not before: for a game or a simulation, which gives its tasks what is left of each frame.
    ///
    /// It sleeps while there is nothing to do, and takes one turn if the deadline has passed. The
    /// turn that is under way at the deadline is finished. Returns the sums of what all turns did,
    /// and whether the last one left [`more`](Turn::more) to do.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = selkie::Runtime::new()?;
    /// runtime.spawn(async { selkie::sleep(Duration::from_millis(2)).await }).detach();
    ///
    /// let end_of_frame = runtime.now() + Duration::from_millis(10);
    /// let frame = runtime.run_until(end_of_frame)?;
    /// assert!(runtime.now() >= end_of_frame);
    /// assert_eq!((frame.timers, frame.polls), (1, 2));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`turn`](Self::turn), and it is returned at once, before the deadline.
    ///
    /// # Panics
    /// As [`turn`](Self::turn).
    #[track_caller]
    pub fn run_until(&self, deadline: Instant) -> io::Result<Turn> {
        let _running = Running::start(&self.executor);
        let (mut frame, mut now) = (Turn::default(), self.now());
        loop {
            frame.add(self.go_round(Until::At { deadline, now }, None)?);
            now = self.now();
            if now >= deadline {
                return Ok(frame);
            }
        }
    }

    /// Spawns a task, which is first polled in a turn.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.executor.spawn(None, future)
    }

    /// As [`spawn`](Self::spawn), with a name for the [table of tasks](crate::inspect).
    #[track_caller]
    pub fn spawn_named<F>(&self, name: impl Into<Cow<'static, str>>, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.executor.spawn(Some(name.into()), future)
    }

    /// Makes this the current runtime of the thread while `f` runs, so that `f` may make sources
    /// and timers outside a task.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        let _entered = Entered::new(Rc::clone(&self.executor));
        f()
    }

    /// A handle for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        Remote::new(self.executor.shared().clone())
    }

    /// For those who look inside.
    pub(crate) fn executor(&self) -> &Executor {
        &self.executor
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
        let _entered = Entered::new(Rc::clone(&self.executor));
        // Inside one of its own tasks if a thread-local runtime's task exits the process.
        self.executor.close(usize::from(self.executor.is_running()));
        // User code may panic, and yet whoever waits for a source elsewhere is to be told.
        let mut panics = FirstPanic::default();
        self.executor.locals.clear(&mut panics);
        panics.watch(|| self.executor.reactor.close());
        panics.resume();
    }
}

/// Runs `future` to its end on a new [`Runtime`], blocking this thread. Returns its value; the tasks
/// that are left are dropped.
///
/// # Panics
/// As [`Runtime::block_on`], and if the runtime cannot be made, as [`Runtime::new`] says;
/// [`try_block_on`] returns that as an error.
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    match Runtime::new() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!(
            "block_on cannot make a runtime: {error}; use try_block_on to have that as an error"
        ),
    }
}

/// As [`block_on`], but an error of the system does not panic.
///
/// # Errors
/// As [`Runtime::new`] and [`Runtime::try_block_on`].
///
/// # Panics
/// As [`Runtime::try_block_on`].
#[track_caller]
pub fn try_block_on<F: Future>(future: F) -> io::Result<F::Output> {
    Runtime::new()?.try_block_on(future)
}

/// Spawns a task on the current runtime.
///
/// Tasks take turns where they wait. One that computes for long, or awaits what is always there, as
/// a channel that never runs empty, holds all others up: see [`consume_budget`] and [`yield_now`].
///
/// # Panics
/// If called outside [`Runtime::block_on`], [`Runtime::enter`] and tasks.
#[track_caller]
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    current::expect().spawn(None, future)
}

/// As [`spawn`], with a name for the [table of tasks](crate::inspect).
///
/// # Panics
/// As [`spawn`].
#[track_caller]
pub fn spawn_named<F>(name: impl Into<Cow<'static, str>>, future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    current::expect().spawn(Some(name.into()), future)
}
