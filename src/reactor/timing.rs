//! Layer 2: the deadlines that tasks wait for.
//! Invariant: outside a turn the alarm, if there is one, is set to the earliest deadline.

use std::io;
use std::mem;
use std::task::Waker;
use std::time::Instant;

use super::Reactor;
use crate::timers::TimerKey;

/// What has become of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    /// It waits.
    Waits,
    /// It has left the queue: its deadline has passed, or its runtime is gone.
    Left,
}

impl Reactor {
    /// The earliest deadline of a timer that is being waited for.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.borrow_mut().next_deadline()
    }

    /// Whether a timer that has left the queue has fired.
    ///
    /// # Errors
    /// If the runtime is gone, and took the timer out before its deadline.
    pub(crate) fn check_fired(&self, deadline: Instant) -> io::Result<()> {
        self.check_open().or_else(|gone| if deadline <= self.now() { Ok(()) } else { Err(gone) })
    }

    /// Queues a timer that wakes `waker` at `deadline`.
    ///
    /// # Errors
    /// If the runtime is gone, or its alarm cannot be set.
    pub(crate) fn insert_timer(&self, deadline: Instant, waker: Waker) -> io::Result<TimerKey> {
        self.check_open()?;
        let key = self.timers.borrow_mut().insert(deadline, waker);
        if !self.is_running()
            && let Err(error) = self.set_alarm()
        {
            self.remove_timer(key);
            return Err(error);
        }
        Ok(key)
    }

    /// Gives a queued timer another waker.
    pub(crate) fn renew_timer(&self, key: TimerKey, waker: &Waker) -> Queued {
        let is_current = match self.timers.borrow_mut().get_mut(key) {
            Some(queued) => queued.will_wake(waker),
            None => return Queued::Left,
        };
        if is_current {
            return Queued::Waits;
        }
        // Perhaps user code, which may even take a turn: then the timer may have left.
        let waker = waker.clone();
        let (replaced, queued) = match self.timers.borrow_mut().get_mut(key) {
            Some(queued) => (mem::replace(queued, waker), Queued::Waits),
            None => (waker, Queued::Left),
        };
        drop(replaced);
        queued
    }

    /// Takes a timer out that nobody waits for any more. Returns its waker, if it had not left.
    pub(crate) fn remove_timer(&self, key: TimerKey) -> Option<Waker> {
        self.timers.borrow_mut().remove(key)
    }

    /// Sets the alarm to the earliest deadline, where there is one.
    ///
    /// # Errors
    /// As `timerfd_settime(2)`.
    #[inline]
    pub(crate) fn set_alarm(&self) -> io::Result<()> {
        if self.has_alarm { self.set_alarm_that_is_there() } else { Ok(()) }
    }

    fn set_alarm_that_is_there(&self) -> io::Result<()> {
        match &*self.alarm.borrow() {
            Some(alarm) => alarm.set(self.next_deadline(), || self.now()),
            None => Ok(()),
        }
    }
}
