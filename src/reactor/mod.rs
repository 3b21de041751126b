//! Layer 2: turns readiness and deadlines into wake-ups.
//! Imports `selector` and `timers`; knows no task. An explicit `select()` loop whose data are
//! wakers, over the public [`Selector`](crate::Selector).
//!
//! Invariant: no waker is called, cloned or dropped, and no source is dropped, while anything
//! here is borrowed: take, release, then call out.
//!
//! Interest: where the back end has edges, a source is registered once for everything. Elsewhere
//! it is registered as a oneshot whose interest follows the waiters:
//! Disarmed ─poll_ready→ Armed(wanted) ─select→ Disarmed, and armed anew if the other direction
//! is still wanted.

#[cfg_attr(not(target_os = "linux"), path = "no_alarm.rs")]
mod alarm;
mod budget;
mod source;
mod waiters;

use std::cell::{Cell, RefCell};
use std::io;
use std::mem;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use self::budget::OPERATIONS_PER_POLL;
pub(crate) use self::source::{Direction, Source, Tick};
pub(crate) use self::waiters::WaiterId;

use self::alarm::Alarm;
use self::budget::Budget;
use self::source::SourceSelector;
use crate::interest::Interest;
use crate::selector::{Backend, Events, Key, Mode, Notifier};
use crate::timers::{TimerKey, Timers};

/// The I/O and the clock of one runtime.
pub(crate) struct Reactor {
    selector: RefCell<SourceSelector>,
    events: RefCell<Events>,
    timers: RefCell<Timers<Waker>>,
    alarm: Option<Alarm>,
    /// Scratch: the wakers of this turn.
    due: Cell<Vec<Waker>>,
    /// Scratch: the oneshots that have fired in this turn.
    fired: Cell<Vec<Key>>,
    arming: Cell<Arming>,
    reports_read_closed: bool,
    /// In a turn, which looks at the timers at its end; else nobody is about to, and a new
    /// deadline must ring by itself.
    is_in_turn: Cell<bool>,
    budget: Budget,
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

/// What one look at the system brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Woken {
    pub(crate) events: usize,
    pub(crate) timers: usize,
}

impl Reactor {
    pub(crate) fn new(
        backend: Box<dyn Backend + Send>,
        event_capacity: NonZeroUsize,
        wants_alarm: bool,
    ) -> io::Result<Self> {
        let has_edges = backend.supports(Mode::Edge);
        let reports_read_closed = backend.reports_read_closed();
        let mut selector = SourceSelector::with_backend(backend);
        let alarm = if wants_alarm { Some(Alarm::new(&mut selector)?) } else { None };
        Ok(Self {
            selector: RefCell::new(selector),
            events: RefCell::new(Events::with_capacity(event_capacity)),
            timers: RefCell::new(Timers::new()),
            alarm,
            due: Cell::default(),
            fired: Cell::default(),
            arming: Cell::new(if has_edges { Arming::Once } else { Arming::FollowsWaiters }),
            reports_read_closed,
            is_in_turn: Cell::new(false),
            budget: Budget::default(),
        })
    }

    /// What the task that is being polled may still do before it must yield.
    #[inline]
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(crate) fn notifier(&self) -> Notifier {
        self.selector.borrow().notifier()
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
    pub(crate) fn register(&self, io: Rc<dyn AsFd>) -> io::Result<Rc<Source>> {
        let (interest, mode) = match self.arming.get() {
            // PRIORITY is there for the hint: see `Source::short_read_drains`.
            Arming::Once => (Interest::all(), Mode::Edge),
            Arming::FollowsWaiters => (Interest::READ, Mode::Oneshot),
            Arming::Closed => return Err(closed()),
        };
        let edges_tell_the_end = mode == Mode::Edge && self.reports_read_closed;
        let source = Rc::new(Source::new(edges_tell_the_end));
        let data = Some(Rc::clone(&source));
        let registered = self.selector.borrow_mut().register_with_mode(io, interest, mode, data);
        // The borrow has ended: a failed registration drops the source here.
        source.set_key(Some(registered?));
        source.set_armed(interest);
        Ok(source)
    }

    /// Stops watching. Whoever still waits is woken, to find that there is nothing to wait for.
    pub(crate) fn unregister(&self, source: &Source) {
        let Some(key) = source.key() else { return };
        let mut left_behind = Vec::new();
        self.forget(key, &mut left_behind);
        wake_all(&mut left_behind);
    }

    /// Takes a registration out, and moves the wakers of whoever waits to `left_behind`.
    fn forget(&self, key: Key, left_behind: &mut Vec<Waker>) {
        // Gone in any case: the only error is that it was gone before.
        let registration = self.selector.borrow_mut().unregister(key);
        if let Ok(Some(source)) = registration.map(|registration| registration.data) {
            source.set_key(None);
            source.take_waiters(left_behind);
        }
    }

    /// Waits until `direction` is worth trying; returns the tick to [`Source::clear`] it with.
    ///
    /// # Errors
    /// If the runtime is gone, or the system refuses to watch.
    #[inline(always)]
    pub(crate) fn poll_ready(
        &self,
        source: &Source,
        direction: Direction,
        id: Option<WaiterId>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Tick>> {
        match source.ready(direction) {
            Some(tick) => Poll::Ready(Ok(tick)),
            None => match self.wait_for(source, direction, id, cx.waker()) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }

    // Always inlined, as is `poll_ready`: called, they cost 28 of 520 instructions of a message.
    #[inline(always)]
    fn wait_for(
        &self,
        source: &Source,
        direction: Direction,
        id: Option<WaiterId>,
        waker: &Waker,
    ) -> io::Result<()> {
        drop(source.waiters(direction).put(id, waker.clone()));
        if self.arming.get() == Arming::Once { Ok(()) } else { self.arm(source) }
    }

    /// A name for a waiter that may leave.
    pub(crate) fn new_waiter(&self, source: &Source, direction: Direction) -> WaiterId {
        source.waiters(direction).new_id()
    }

    /// Takes a waiter out that gives up.
    pub(crate) fn remove_waiter(&self, source: &Source, direction: Direction, id: WaiterId) {
        drop(source.waiters(direction).remove(id));
    }

    /// Has the system watch what is waited for, if it does not already.
    ///
    /// # Errors
    /// If the runtime is gone, or the system refuses to watch.
    #[cold]
    fn arm(&self, source: &Source) -> io::Result<()> {
        if let Err(gone) = self.check_open() {
            // Nobody would wake who has just come; all others have been woken.
            source.take_waiters(&mut Vec::new());
            return Err(gone);
        }
        let wanted = source.wanted() | source.armed();
        if let Some(key) = source.key()
            && wanted != source.armed()
        {
            self.selector.borrow_mut().modify(key, wanted)?;
            source.set_armed(wanted);
        }
        Ok(())
    }

    /// Looks at the system and the clock, at most `timeout` long, and wakes who is due.
    ///
    /// # Errors
    /// As [`Selector::select`](crate::Selector::select). Due timers have been woken all the same.
    pub(crate) fn turn(&self, timeout: Option<Duration>) -> io::Result<Woken> {
        self.is_in_turn.set(true);
        let mut due = self.due.take();
        let events = self.collect_events(timeout, &mut due);
        let from_events = due.len();
        self.collect_timers(&mut due);
        let timers = due.len() - from_events;
        wake_all(&mut due);
        self.due.set(due);
        events.map(|events| Woken { events, timers })
    }

    /// Ends a turn: from here on new deadlines ring by themselves.
    ///
    /// # Errors
    /// As `timerfd_settime(2)`, where there is an alarm.
    pub(crate) fn end_turn(&self) -> io::Result<()> {
        self.is_in_turn.set(false);
        self.set_alarm()
    }

    fn collect_events(&self, timeout: Option<Duration>, due: &mut Vec<Waker>) -> io::Result<usize> {
        let timeout = match (timeout, self.next_deadline()) {
            (Some(Duration::ZERO), _) | (_, None) => timeout,
            (_, Some(deadline)) => {
                let until = deadline.saturating_duration_since(Instant::now());
                Some(timeout.map_or(until, |timeout| timeout.min(until)))
            }
        };
        let mut count = 0;
        let mut fired = self.fired.take();
        let mut selector = self.selector.borrow_mut();
        let events = &mut self.events.borrow_mut();
        let selected = selector.select_each(events, timeout, |key, _, source, readiness| {
            // The alarm has no source: to have been woken is all it wants.
            let Some(source) = source else { return };
            count += 1;
            source.deliver(readiness, due);
            if self.arming.get() == Arming::FollowsWaiters {
                fired.push(key);
            }
        });
        fired.drain(..).for_each(|key| arm_again(&mut selector, key, due));
        self.fired.set(fired);
        selected.map(|()| count)
    }

    fn collect_timers(&self, due: &mut Vec<Waker>) {
        let mut timers = self.timers.borrow_mut();
        if timers.is_empty() {
            return;
        }
        let now = Instant::now();
        due.extend(std::iter::from_fn(|| timers.pop_due(now)));
    }

    /// The earliest deadline of a timer that is being waited for.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.borrow_mut().next_deadline()
    }

    /// Queues a timer that wakes `waker` at `deadline`.
    ///
    /// # Errors
    /// If the runtime is gone, or its alarm cannot be set.
    pub(crate) fn insert_timer(&self, deadline: Instant, waker: Waker) -> io::Result<TimerKey> {
        self.check_open()?;
        let key = self.timers.borrow_mut().insert(deadline, waker);
        if !self.is_in_turn.get() {
            self.set_alarm()?;
        }
        Ok(key)
    }

    /// Gives a queued timer another waker; false if it has fired.
    ///
    /// # Errors
    /// If the runtime is gone.
    pub(crate) fn renew_timer(&self, key: TimerKey, waker: &Waker) -> io::Result<bool> {
        let is_current = match self.timers.borrow_mut().get_mut(key) {
            Some(queued) => queued.will_wake(waker),
            None => return self.check_open().map(|()| false),
        };
        if !is_current {
            let waker = waker.clone();
            let replaced = match self.timers.borrow_mut().get_mut(key) {
                Some(queued) => mem::replace(queued, waker),
                None => waker,
            };
            drop(replaced);
        }
        Ok(true)
    }

    /// Takes a timer out that nobody waits for any more.
    pub(crate) fn remove_timer(&self, key: TimerKey) {
        let waker = self.timers.borrow_mut().remove(key);
        drop(waker);
    }

    fn set_alarm(&self) -> io::Result<()> {
        match &self.alarm {
            Some(alarm) => alarm.set(self.next_deadline()),
            None => Ok(()),
        }
    }

    fn check_open(&self) -> io::Result<()> {
        if self.arming.get() == Arming::Closed { Err(closed()) } else { Ok(()) }
    }

    /// Drops all registrations and timers; what is still alive outside, in another runtime
    /// perhaps, is woken, and can wait no more.
    pub(crate) fn close(&self) {
        self.arming.set(Arming::Closed);
        let mut left_behind = self.due.take();
        left_behind.extend(self.timers.take().into_values());
        let keys: Vec<_> = self.selector.borrow().iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.forget(key, &mut left_behind));
        wake_all(&mut left_behind);
    }
}

/// Has the system watch a oneshot again that has fired, if somebody still waits for it.
fn arm_again(selector: &mut SourceSelector, key: Key, due: &mut Vec<Waker>) {
    let Some(source) = selector.get(key).and_then(|key| key.data.clone()) else { return };
    source.set_armed(Interest::empty());
    let wanted = source.wanted();
    if !wanted.is_empty() {
        match selector.modify(key, wanted) {
            Ok(()) => source.set_armed(wanted),
            // Whoever waits tries to arm it again, and is told the error.
            Err(_) => source.take_waiters(due),
        }
    }
}

#[cold]
fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the runtime of this source is gone, so nothing can be waited for; drop the source before \
         its runtime, or use it without waiting",
    )
}

/// Wakes all of `due`, the rest too if a waker panics; the first panic goes on at the end, unless
/// the thread panics already, as it may where sources and runtimes are dropped.
fn wake_all(due: &mut Vec<Waker>) {
    let mut panicked = None;
    let mut due = due.drain(..);
    while let Err(payload) =
        panic::catch_unwind(AssertUnwindSafe(|| due.by_ref().for_each(Waker::wake)))
    {
        panicked.get_or_insert(payload);
    }
    if let Some(payload) = panicked
        && !thread::panicking()
    {
        panic::resume_unwind(payload);
    }
}
