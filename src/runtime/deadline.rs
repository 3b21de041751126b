//! Layer 3: one wait for the clock.
//! Imports `reactor`. Invariant: in the reactor's queue only between its first poll and its end,
//! whichever way it ends.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::reactor::Reactor;
use crate::timers::TimerKey;

/// A deadline that a task waits for.
///
/// Idle ─poll→ Queued ─turn: the timer is popped→ stale key: ready
pub(crate) struct Deadline {
    reactor: Rc<Reactor>,
    at: Instant,
    key: Option<TimerKey>,
}

impl Deadline {
    pub(crate) fn new(reactor: Rc<Reactor>, at: Instant) -> Self {
        Self { reactor, at, key: None }
    }

    /// Ready once a turn has found the deadline to be due.
    ///
    /// # Errors
    /// If the runtime is gone, or its alarm cannot be set.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.key {
            None => {
                self.key = Some(self.reactor.insert_timer(self.at, cx.waker().clone())?);
                Poll::Pending
            }
            Some(key) if self.reactor.renew_timer(key, cx.waker())? => Poll::Pending,
            Some(_) => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.reactor.remove_timer(key);
        }
    }
}
