//! Layer 2: what is seen of a reactor from outside: who waits for which source, and until when.
//! Invariant: who looks calls no user code; wakers are looked at, not cloned.

use std::task::Waker;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Reactor;
use super::source::{Direction, State};
use crate::interest::Interest;

impl Reactor {
    /// Each waker that waits for a source, with the source's state. Nothing inside the back end's
    /// own functions.
    pub(crate) fn each_waiter(&self, mut f: impl FnMut(&State, Direction, &Waker)) {
        let Ok(selector) = self.selector.try_borrow() else { return };
        for (_, key) in selector.iter() {
            let state = &key.source.state;
            for (direction, side) in state.sides() {
                side.each_waiter(|waker| f(state, direction, waker));
            }
        }
    }

    /// How many sources and timers there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let alarms = usize::from(self.alarm.borrow().is_some());
        let sources = self.selector.try_borrow().map_or(0, |selector| selector.len());
        (sources.saturating_sub(alarms), self.timers.borrow().len())
    }

    /// How many sources are ready for which somebody waits, by poll(2): no event is taken.
    pub(crate) fn count_ready(&self) -> usize {
        let Ok(selector) = self.selector.try_borrow() else { return 0 };
        let mut waited_for = Vec::new();
        for (_, key) in selector.iter() {
            let state = &key.source.state;
            let mut flags = PollFlags::empty();
            let wanted = state.wanted();
            flags.set(PollFlags::IN, wanted.contains(Interest::READ));
            flags.set(PollFlags::OUT, wanted.contains(Interest::WRITE));
            flags.set(PollFlags::PRI, wanted.contains(Interest::PRIORITY));
            if !flags.is_empty() {
                waited_for.push(PollFd::from_borrowed_fd(state.descriptor(), flags));
            }
        }
        // An error means that the system has no memory to look: then it is not known.
        poll(&mut waited_for, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap_or(0)
    }

    /// Each deadline, and the waker that is called at it.
    pub(crate) fn each_timer(&self, mut f: impl FnMut(Instant, &Waker)) {
        let timers = self.timers.borrow();
        timers.iter().for_each(|(deadline, waker)| f(deadline, waker));
    }
}
