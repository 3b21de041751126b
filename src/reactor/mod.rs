//! Layer 2: turns readiness and deadlines into wake-ups: an explicit `select()` loop whose data
//! are wakers, over the public [`Selector`](crate::Selector). Knows no task.
//! Invariant: no waker and no source is called, cloned or dropped while anything here is borrowed.

// Interest: where the back end has edges, a source is registered once for everything. Elsewhere
// it is registered as a oneshot whose interest follows the waiters:
// Disarmed ─watch→ Armed(wanted) ─select→ Disarmed, and armed anew if the other direction is
// still wanted.

#[cfg_attr(not(target_os = "linux"), path = "no_alarm.rs")]
mod alarm;
mod blocking;
mod budget;
mod closed;
mod crowd;
mod doubts;
mod kind;
mod side;
mod sights;
mod source;
mod timing;
mod turn;
mod waiter;
mod waiting;

use std::cell::{Cell, RefCell};
use std::io;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

pub(crate) use self::blocking::Leave;
pub(crate) use self::budget::{Budget, OPERATIONS_PER_POLL, Stamp};
pub(crate) use self::kind::Kind;
pub(crate) use self::side::Next;
pub(crate) use self::source::{Direction, Source, State};
pub(crate) use self::timing::Queued;
pub(crate) use self::turn::Woken;
pub(crate) use self::waiter::{Waiter, WaiterId};
pub(crate) use self::waiting::{Cut, Received};

use self::alarm::Alarm;
use self::blocking::FoundBlocking;
use self::source::SourceSelector;
use self::waiter::wake_all;
use crate::interest::Interest;
use crate::probe::{Notes, Probe};
use crate::selector::world::World;
use crate::selector::{Backend, Events, Key, Mode, Notifier, RegisterError};
use crate::sys::{AsFd, AsRawFd, OwnedFd};
use crate::timers::Timers;

/// The I/O and the clock of one runtime.
pub(crate) struct Reactor {
    selector: RefCell<SourceSelector>,
    events: RefCell<Events>,
    timers: RefCell<Timers<Waker>>,
    alarm: RefCell<Option<Alarm>>,
    has_alarm: bool,
    /// Scratch: the wakers of this turn.
    due: Cell<Vec<Waker>>,
    /// Scratch: the oneshots that have fired in this turn.
    fired: Cell<Vec<Key>>,
    arming: Cell<Arming>,
    reports_read_closed: bool,
    /// A turn is on the stack, which looks at the timers at its end; else nobody is about to, and
    /// a new deadline must ring by itself.
    is_running: Cell<bool>,
    /// The last turn had no room for all timers that were due.
    has_due_timers: Cell<bool>,
    /// How many rounds of tasks there have been.
    rounds: Cell<u64>,
    budget: Budget,
    found_blocking: FoundBlocking,
    pub(crate) probe: Probe,
    /// `None`: the system.
    world: Option<Rc<dyn World>>,
}

/// How sources are registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arming {
    /// Once, for everything, by edge.
    Once,
    /// As a oneshot, for what is waited for.
    FollowsWaiters,
    /// No more: the runtime is gone.
    Closed,
}

/// How a descriptor comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It may be blocking, and is to be left as it was.
    BlockingOrNot,
    /// Somebody says that it is non-blocking.
    NonBlocking,
    /// It was made here, non-blocking, and nobody else has it.
    Fresh,
}

impl Reactor {
    pub(crate) fn new(
        backend: Box<dyn Backend + Send>,
        world: Option<Rc<dyn World>>,
        event_capacity: Option<NonZeroUsize>,
        wants_alarm: bool,
        notes: Notes,
    ) -> io::Result<Self> {
        let has_edges = backend.supports(Mode::Edge);
        let reports_read_closed = backend.reports_read_closed();
        let mut selector = SourceSelector::with_backend(backend);
        let alarm = if wants_alarm { Some(Alarm::new(&mut selector)?) } else { None };
        let probe = Probe::new(|| selector.now(), notes);
        Ok(Self {
            selector: RefCell::new(selector),
            events: RefCell::new(event_capacity.map_or_else(Events::new, Events::with_capacity)),
            timers: RefCell::new(Timers::new()),
            has_alarm: alarm.is_some(),
            alarm: RefCell::new(alarm),
            due: Cell::default(),
            fired: Cell::default(),
            arming: Cell::new(if has_edges { Arming::Once } else { Arming::FollowsWaiters }),
            reports_read_closed,
            is_running: Cell::new(false),
            has_due_timers: Cell::new(false),
            rounds: Cell::new(0),
            budget: Budget::default(),
            found_blocking: FoundBlocking::default(),
            probe,
            world,
        })
    }

    /// What the task that is being polled may still do before it must yield.
    #[inline]
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// All tasks that were woken before are polled before this is called again.
    pub(crate) fn count_round(&self) {
        self.rounds.set(self.rounds.get() + 1);
    }

    pub(crate) fn notifier(&self) -> Notifier {
        self.selector.borrow().notifier()
    }

    /// The world that the runtime lives in, if that is not the system.
    #[inline]
    pub(crate) fn world(&self) -> Option<&dyn World> {
        self.world.as_deref()
    }

    /// The clock of the back end.
    pub(crate) fn now(&self) -> Instant {
        self.selector.borrow().now()
    }

    /// As [`now`](Self::now), from wherever; `None` inside the back end's own functions.
    pub(crate) fn try_now(&self) -> Option<Instant> {
        self.selector.try_borrow().ok().map(|selector| selector.now())
    }

    /// True while a turn or a `block_on` is on the stack.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.is_running.get()
    }

    pub(crate) fn set_running(&self, is_running: bool) {
        self.is_running.set(is_running);
    }

    /// A duplicate of the descriptor that is readable when a turn would find something, where
    /// the back end has one.
    ///
    /// # Errors
    /// As `dup(2)`.
    pub(crate) fn descriptor(&self) -> io::Result<Option<OwnedFd>> {
        let selector = self.selector.borrow();
        selector.descriptor().map(|descriptor| descriptor.try_clone_to_owned()).transpose()
    }

    /// Begins to watch `io`.
    ///
    /// # Errors
    /// As [`Selector::register`](crate::Selector::register), as fcntl(2), and of kind `BrokenPipe`
    /// if the runtime is gone.
    pub(crate) fn register<T: AsFd + 'static>(
        &self,
        io: T,
        found: Found,
    ) -> Result<Rc<Source<T>>, RegisterError<T>> {
        let (interest, mode) = match self.arming.get() {
            // PRIORITY is there for the hint, too: see `Doubts`.
            Arming::Once => (Interest::all(), Mode::Edge),
            Arming::FollowsWaiters => (Interest::READ, Mode::Oneshot),
            Arming::Closed => return Err(RegisterError::new(closed::error(), io, ())),
        };
        // User code, which may use the reactor.
        let fd = io.as_fd();
        let watched = self.world().and_then(|world| world.watched(fd)).transpose();
        let fd = fd.as_raw_fd();
        let watched = match watched {
            Ok(watched) => watched,
            Err(error) => return Err(RegisterError::new(error, io, ())),
        };
        let edges_tell_the_end = mode == Mode::Edge && self.reports_read_closed;
        let source = Rc::new(Source::new(fd, watched, edges_tell_the_end, io));
        let watched = Rc::clone(&source) as Rc<Source>;
        let key = self.selector.borrow_mut().register_with_mode(watched, interest, mode, ());
        let key = match key {
            Ok(key) => key,
            Err(refused) => {
                return Err(refused.with_source(|watched| {
                    drop(watched);
                    take_back(source)
                }));
            }
        };
        source.state.set_key(Some(key));
        source.state.armed().set(interest);
        let entered = match found {
            Found::BlockingOrNot => self.found_blocking.enter(&source.state),
            Found::NonBlocking => self.found_blocking.enter_nonblocking(&source.state),
            Found::Fresh => Ok(()),
        };
        if let Err(error) = entered {
            self.unregister(&source.state, Leave::AsFound);
            return Err(RegisterError::new(error, take_back(source), ()));
        }
        Ok(source)
    }

    /// Stops watching, while the descriptor is still open. Whoever still waits is woken, to find
    /// that there is nothing to wait for.
    pub(crate) fn unregister(&self, source: &State, how: Leave) {
        source.forget_stamps(&self.budget);
        let mut left_behind = Vec::new();
        if let Some(key) = source.key() {
            self.forget(key, &mut left_behind);
        }
        self.found_blocking.leave(source, how);
        wake_all(&mut left_behind);
    }

    /// Takes a registration out, and moves the wakers of whoever waits to `left_behind`.
    fn forget(&self, key: Key, left_behind: &mut Vec<Waker>) {
        // Gone in any case: the only error is that it was gone before.
        let registration = self.selector.borrow_mut().unregister(key);
        if let Ok(registration) = registration {
            registration.source.state.set_key(None);
            registration.source.state.set_plain(false);
            registration.source.state.take_waiters(left_behind);
        }
    }

    /// Has the system watch what somebody has begun to wait for.
    ///
    /// # Errors
    /// If the runtime is gone, or the system refuses to watch.
    #[inline]
    fn watch(&self, source: &State) -> io::Result<()> {
        if self.arming.get() == Arming::Once { Ok(()) } else { self.arm(source) }
    }

    #[cold]
    fn arm(&self, source: &State) -> io::Result<()> {
        if let Err(gone) = self.check_open() {
            // Nobody would wake who has just come; all others have been woken.
            source.take_waiters(&mut Vec::new());
            return Err(gone);
        }
        let wanted = source.wanted() | source.armed().get();
        if let Some(key) = source.key()
            && wanted != source.armed().get()
        {
            self.selector.borrow_mut().modify(key, wanted)?;
            source.armed().set(wanted);
        }
        Ok(())
    }

    fn check_open(&self) -> io::Result<()> {
        if self.arming.get() == Arming::Closed { Err(closed::error()) } else { Ok(()) }
    }

    /// Drops all registrations and timers; what is still alive outside, in another runtime
    /// perhaps, is woken, and can wait no more. The back end's descriptors are closed.
    pub(crate) fn close(&self) {
        self.arming.set(Arming::Closed);
        let mut left_behind = self.due.take();
        left_behind.extend(self.timers.take().into_values());
        let keys: Vec<_> = self.selector.borrow().iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.forget(key, &mut left_behind));
        drop(self.alarm.take());
        drop(self.selector.replace(SourceSelector::with_backend(Box::new(closed::Closed))));
        wake_all(&mut left_behind);
    }
}

/// The `T` of a source that nothing refers to any more.
fn take_back<T>(source: Rc<Source<T>>) -> T {
    match Rc::try_unwrap(source) {
        Ok(source) => source.io,
        Err(_) => unreachable!("the selector has dropped its reference, and there is no handle"),
    }
}
