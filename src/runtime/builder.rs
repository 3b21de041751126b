//! Layer 4: how a runtime is to be.
//! Invariant: every default has its reason beside it.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::slow_poll::{SlowPoll, TellsSlow};
use crate::executor::Settings;
use crate::probe::RECORDS;
use crate::reactor::OPERATIONS_PER_POLL;
use crate::selector::BackendKind;

/// Polls of tasks in one turn before I/O is looked at.
///
/// Large enough that the look, which takes as long as five polls of a task that only yields, is
/// 4 % of the time of such tasks, and less of any others: half as many polls take some 5 % more a
/// yield, eight times as many 3 % less. Small enough that tasks that all use up their operations,
/// and count for more, keep I/O and timers waiting for half a millisecond, which is proportional. See
/// `cargo bench --bench fairness -- polls_per_turn`.
const POLLS_PER_TURN: u32 = 128;

/// What becomes of the panic of a task that nobody awaits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnobservedPanic {
    /// The panic message is printed, as for every panic, and the other tasks go on.
    #[default]
    Ignore,
    /// The turn, or `block_on`, in which the panic is found to have no observer, panics with it. A
    /// `block_on` whose future ends in that turn returns its value, and the next turn panics.
    Resume,
}

/// Makes a [`Runtime`](crate::Runtime) of other than the usual settings.
///
/// ```
/// use selkie::{Builder, selector::BackendKind};
///
/// // For a foreign loop that watches the runtime's descriptor and knows no other clock.
/// let runtime = Builder::new().backend(BackendKind::DEFAULT).timer_fd(true).build()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Builder {
    pub(super) backend: Choice,
    pub(super) event_capacity: Option<NonZeroUsize>,
    pub(super) polls_per_turn: u32,
    pub(super) operations_per_poll: u32,
    pub(super) timer_fd: bool,
    pub(super) unobserved_panic: UnobservedPanic,
    pub(super) timing: bool,
    pub(super) records: usize,
    pub(super) slow_poll: Option<TellsSlow>,
    pub(super) after_panic: Option<AfterPanic>,
    pub(super) settings: Settings,
}

pub(super) type AfterPanic = Arc<dyn Fn() + Send + Sync>;

/// How the back end is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Kind(BackendKind),
    Environment,
}

impl Builder {
    /// The usual settings.
    #[must_use]
    pub fn new() -> Self {
        Self {
            backend: Choice::Kind(BackendKind::DEFAULT),
            event_capacity: None,
            polls_per_turn: POLLS_PER_TURN,
            operations_per_poll: OPERATIONS_PER_POLL,
            timer_fd: false,
            unobserved_panic: UnobservedPanic::default(),
            timing: false,
            records: RECORDS,
            slow_poll: None,
            after_panic: None,
            settings: Settings::default(),
        }
    }

    /// Which back end asks the system. Usually the most efficient one of this system,
    /// [`BackendKind::DEFAULT`].
    #[must_use]
    pub fn backend(mut self, kind: BackendKind) -> Self {
        self.backend = Choice::Kind(kind);
        self
    }

    /// Takes the back end that the environment variable `SELKIE_BACKEND` names, or else the most
    /// efficient one: as [`Runtime::new`](crate::Runtime::new) and [`block_on`](crate::block_on) do.
    #[must_use]
    pub fn backend_from_env(mut self) -> Self {
        self.backend = Choice::Environment;
        self
    }

    /// How many events one turn takes from the system at most. Usually 1024, and more in a turn
    /// after one that found as many.
    ///
    /// # Panics
    /// If `events` is zero.
    #[must_use]
    #[track_caller]
    pub fn event_capacity(mut self, events: usize) -> Self {
        let events = NonZeroUsize::new(events);
        assert!(events.is_some(), "a turn takes no events; let it take one or more");
        self.event_capacity = events;
        self
    }

    /// How many polls of tasks one turn makes at most, and how many timers it fires; a poll with
    /// much I/O counts as several. Usually 128.
    ///
    /// # Panics
    /// If `polls` is zero.
    #[must_use]
    #[track_caller]
    pub fn polls_per_turn(mut self, polls: u32) -> Self {
        assert!(polls > 0, "a turn polls no task; let it poll one or more");
        self.polls_per_turn = polls;
        self
    }

    /// How many I/O operations may succeed within one poll of a task before it has to yield.
    /// Usually 32. A task with several sources that are always ready may do up to as many again,
    /// for those that had to wait in the poll before.
    ///
    /// # Panics
    /// If `operations` is zero.
    #[must_use]
    #[track_caller]
    pub fn operations_per_poll(mut self, operations: u32) -> Self {
        assert!(operations > 0, "a poll may do no operation; let it do one or more");
        self.operations_per_poll = operations;
        self
    }

    /// Gives the runtime a value that libraries find by [`setting`](crate::setting). The last one
    /// of a type counts.
    #[must_use]
    pub fn local<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.settings.add(value);
        self
    }

    /// Whether the runtime's descriptor becomes readable for deadlines too, by a `timerfd(2)`.
    /// Usually not: it costs a system call whenever the earliest deadline changes, and
    /// [`Runtime::next_deadline`](crate::Runtime::next_deadline) tells a foreign loop the same.
    #[must_use]
    pub fn timer_fd(mut self, wanted: bool) -> Self {
        self.timer_fd = wanted;
        self
    }

    /// Whether polls and turns are timed. Usually not: it costs a reading of the clock for each
    /// poll, and two more for each turn.
    ///
    /// With it the [table of tasks](crate::inspect) has how often and how long each task was
    /// polled, [`Metrics::times`](crate::inspect::Metrics::times) tells what the loop spends its
    /// time with, and [`Remote::running`](crate::Remote::running) which task runs just now. Times
    /// are those of the runtime's clock, not of the processor: a thread that has to wait for a
    /// processor within a poll makes it longer.
    #[must_use]
    pub fn timing(mut self, wanted: bool) -> Self {
        self.timing = wanted;
        self
    }

    /// How many records the flight recorder keeps, of 16 bytes each: 4096 at least.
    /// Usually 65536; a message of an echo takes three or four.
    #[cfg(feature = "record")]
    #[must_use]
    pub fn records(mut self, count: usize) -> Self {
        self.records = count;
        self
    }

    /// Calls `hook`, of this crate's making, after each poll that panicked.
    #[cfg(feature = "record")]
    pub(crate) fn after_panic(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.after_panic = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` after each poll that took `limit` or longer; includes
    /// [`timing`](Self::timing).
    ///
    /// The hook runs on the loop's thread, between two polls, and in the runtime: it may spawn
    /// tasks, and ask for the [table](crate::inspect::tasks). It keeps the loop waiting, too. If it
    /// panics, so does the turn. A poll that never ends is never told: see
    /// [`Remote::running`](crate::Remote::running).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = selkie::Builder::new()
    ///     .slow_poll(Duration::from_millis(10), |slow| eprintln!("{slow}"))
    ///     .build()?;
    /// runtime.block_on(async { std::thread::sleep(Duration::from_millis(20)) });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// prints `task #0 of src/main.rs:6 was polled for 20.1ms; kept waiting: 0 ready tasks, 0 ready
    /// sources`.
    #[must_use]
    pub fn slow_poll(
        mut self,
        limit: Duration,
        hook: impl Fn(&SlowPoll) + Send + Sync + 'static,
    ) -> Self {
        self.slow_poll = Some(TellsSlow::new(limit, hook));
        self
    }

    /// What becomes of the panic of a task that nobody awaits.
    #[must_use]
    pub fn unobserved_panic(mut self, policy: UnobservedPanic) -> Self {
        self.unobserved_panic = policy;
        self
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("backend", &self.backend)
            .field("event_capacity", &self.event_capacity)
            .field("polls_per_turn", &self.polls_per_turn)
            .field("operations_per_poll", &self.operations_per_poll)
            .field("timer_fd", &self.timer_fd)
            .field("unobserved_panic", &self.unobserved_panic)
            .field("timing", &self.timing)
            .field("slow_poll", &self.slow_poll.as_ref().map(|slow| slow.limit))
            .finish_non_exhaustive()
    }
}
