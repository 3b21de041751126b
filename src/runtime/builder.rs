//! Layer 3: how a runtime is to be.
//! Imports `reactor` and `selector`. Invariant: every default has its reason beside it.

use std::num::{NonZeroU32, NonZeroUsize};

use crate::reactor::OPERATIONS_PER_POLL;
use crate::selector::BackendKind;

/// Polls of tasks in one turn before I/O is looked at.
///
/// Large enough that the look, which takes as long as five polls of a task that only yields, is
/// 4 % of the time of such tasks, and less of any others: half as many polls take some 5 % more a
/// yield, eight times as many 3 % less. Small enough that tasks that all use up their operations,
/// and count for more, keep I/O and timers waiting for half a millisecond, which is proportional. See
/// `cargo bench --bench fairness -- polls_per_turn`.
const POLLS_PER_TURN: NonZeroU32 = NonZeroU32::new(128).expect("not zero");

/// Events taken from the system in one turn: 16 KiB of buffers; beyond some hundred, more a call
/// saves nothing that can be measured.
const EVENT_CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// What becomes of the panic of a task that nobody awaits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnobservedPanic {
    /// The panic message is printed, as for every panic, and the other tasks go on.
    #[default]
    Ignore,
    /// The turn, or `block_on`, in which the panic is found to have no observer, panics with it.
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
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) backend: Option<BackendKind>,
    pub(super) event_capacity: NonZeroUsize,
    pub(super) polls_per_turn: NonZeroU32,
    pub(super) operations_per_poll: NonZeroU32,
    pub(super) timer_fd: bool,
    pub(super) unobserved_panic: UnobservedPanic,
}

impl Builder {
    /// The usual settings.
    #[must_use]
    pub fn new() -> Self {
        Self {
            backend: None,
            event_capacity: EVENT_CAPACITY,
            polls_per_turn: POLLS_PER_TURN,
            operations_per_poll: OPERATIONS_PER_POLL,
            timer_fd: false,
            unobserved_panic: UnobservedPanic::default(),
        }
    }

    /// Which back end asks the system. Otherwise it is what `SELKIE_BACKEND` names, or else the
    /// most efficient one.
    #[must_use]
    pub fn backend(mut self, kind: BackendKind) -> Self {
        self.backend = Some(kind);
        self
    }

    /// How many events one turn takes from the system at most. Usually 1024.
    #[must_use]
    pub fn event_capacity(mut self, events: NonZeroUsize) -> Self {
        self.event_capacity = events;
        self
    }

    /// How many polls of tasks one turn makes at most; a poll with much I/O counts as several.
    /// Usually 128.
    #[must_use]
    pub fn polls_per_turn(mut self, polls: NonZeroU32) -> Self {
        self.polls_per_turn = polls;
        self
    }

    /// How many I/O operations may succeed within one poll of a task before it has to yield.
    /// Usually 32.
    #[must_use]
    pub fn operations_per_poll(mut self, operations: NonZeroU32) -> Self {
        self.operations_per_poll = operations;
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
