//! Layer 2: one look at the system and the clock.
//! Limits: one select, two readings of the clock, a bounded number of timers.
//! Invariant: what was collected is woken, whatever the system says.

use std::io;
use std::rc::Rc;
use std::task::Waker;

use super::alarm::Alarm;
use super::source::SourceSelector;
use super::waiter::wake_all;
use super::{Arming, Reactor};
use crate::interest::Interest;
use crate::selector::{Key, Until};

/// What one look at the system brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Woken {
    pub(crate) events: usize,
    pub(crate) timers: usize,
}

impl Reactor {
    /// Looks at the system and the clock, waiting no longer than `until`, and wakes who is due: of
    /// the timers as many as `most_timers`.
    ///
    /// # Errors
    /// As [`Selector::select`](crate::Selector::select). Due timers have been woken all the same.
    pub(crate) fn turn(&self, until: Until, most_timers: usize) -> io::Result<Woken> {
        let mut due = self.due.take();
        self.probe.wait_begins(|| self.now());
        let events = self.collect_events(self.or_next_deadline(until), &mut due);
        self.probe.wait_ends(|| self.now(), *events.as_ref().unwrap_or(&0));
        let timers = self.collect_timers(most_timers, &mut due);
        wake_all(&mut due);
        self.due.set(due);
        events.map(|events| Woken { events, timers })
    }

    /// When to wait no longer: the first of `until` and the earliest deadline.
    fn or_next_deadline(&self, until: Until) -> Until {
        if until == Until::Now {
            return until;
        }
        match (until, self.next_deadline()) {
            (_, None) => until,
            (Until::At { deadline, now }, Some(next)) => {
                Until::At { deadline: deadline.min(next), now }
            }
            (_, Some(deadline)) => Until::At { deadline, now: self.now() },
        }
    }

    fn collect_events(&self, until: Until, due: &mut Vec<Waker>) -> io::Result<usize> {
        if self.arming.get() == Arming::FollowsWaiters {
            return self.collect_oneshots(until, due);
        }
        let mut selector = self.selector.borrow_mut();
        let events = &mut self.events.borrow_mut();
        let count = selector.count_each_until(events, until, |_, source, (), readiness| {
            self.probe.event(source.state.fd(), readiness.bits());
            source.state.deliver(readiness, due);
        });
        count.map(|count| count - self.count_alarm())
    }

    /// As `collect_events`, where what has fired has to be armed again.
    fn collect_oneshots(&self, until: Until, due: &mut Vec<Waker>) -> io::Result<usize> {
        let mut fired = self.fired.take();
        let mut selector = self.selector.borrow_mut();
        let events = &mut self.events.borrow_mut();
        let count = selector.count_each_until(events, until, |key, source, (), readiness| {
            self.probe.event(source.state.fd(), readiness.bits());
            source.state.deliver(readiness, due);
            fired.push(key);
        });
        fired.drain(..).for_each(|key| arm_again(&mut selector, key, due));
        self.fired.set(fired);
        count.map(|count| count - self.count_alarm())
    }

    /// How often the alarm was reported: those are no events of a source.
    #[inline]
    fn count_alarm(&self) -> usize {
        if self.has_alarm { self.alarm.borrow().as_ref().map_or(0, Alarm::take_events) } else { 0 }
    }

    /// Takes the timers that are due, in the order of their deadlines.
    fn collect_timers(&self, most: usize, due: &mut Vec<Waker>) -> usize {
        let mut timers = self.timers.borrow_mut();
        self.has_due_timers.set(false);
        if timers.is_empty() {
            return 0;
        }
        let now = self.events.borrow().read_after().unwrap_or_else(|| self.now());
        let earliest = if cfg!(feature = "record") { timers.next_deadline() } else { None };
        let before = due.len();
        due.extend(std::iter::from_fn(|| timers.pop_due(now)).take(most));
        let count = due.len() - before;
        self.probe.timers(count, earliest, now);
        if count == most {
            let next = timers.next_deadline();
            self.has_due_timers.set(next.is_some_and(|deadline| deadline <= now));
        }
        count
    }

    /// True if the last turn has left timers that were due.
    pub(crate) fn has_due_timers(&self) -> bool {
        self.has_due_timers.get()
    }
}

/// Has the system watch a oneshot again that has fired, if somebody still waits for it.
fn arm_again(selector: &mut SourceSelector, key: Key, due: &mut Vec<Waker>) {
    let Some(source) = selector.get(key).map(|key| Rc::clone(&key.source)) else { return };
    source.state.armed().set(Interest::empty());
    let wanted = source.state.wanted();
    if !wanted.is_empty() {
        match selector.modify(key, wanted) {
            Ok(()) => source.state.armed().set(wanted),
            // Whoever waits tries to arm it again, and is told the error.
            Err(_) => source.state.take_waiters(due),
        }
    }
}
