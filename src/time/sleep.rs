//! Layer 4: waiting for one deadline.
//! Invariant: in a reactor's queue only between the first poll and the end, whichever way it ends.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::FusedFuture;

use super::clock::now;
use crate::executor::current;
use crate::reactor::{Queued, Reactor};
use crate::timers::TimerKey;

/// Waits until `duration` has passed.
///
/// # Panics
/// When it is first polled, if there is no current runtime.
///
/// # Cancel safety
/// May be dropped at any time; the timer leaves the queue at once.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::after(duration)
}

/// Waits until `deadline`. One in the past is ready at the first poll, if the task has some of its
/// budget left.
///
/// # Panics
/// As [`sleep`].
///
/// # Cancel safety
/// As [`sleep`].
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::until(Some(deadline))
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// It joins the current runtime when it is first polled, and leaves it when it fires or is
/// dropped. Once it has fired it is ready for ever; [`reset`](Self::reset) sets it anew.
///
/// # Panics
/// When it is first polled outside a runtime, and when its runtime is gone before the deadline: it
/// could never fire.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    /// `None`: never.
    deadline: Option<Instant>,
    state: State,
}

/// Idle ─poll→ Queued or Unset ─due→ Fired ─reset→ Idle; Queued and Unset ─reset→ Queued or Unset
enum State {
    Idle {
        /// Whether the deadline may have passed already.
        ask: bool,
    },
    Queued(Rc<Reactor>, TimerKey),
    /// Somebody waits, for a deadline that is yet to be set.
    Unset(Rc<Reactor>, Waker),
    Fired,
}

impl Sleep {
    pub(super) fn after(duration: Duration) -> Self {
        // One that is later than now need not be compared with the clock again at once.
        let state = State::Idle { ask: duration.is_zero() };
        Self { deadline: now().checked_add(duration), state }
    }

    pub(super) fn until(deadline: Option<Instant>) -> Self {
        Self { deadline, state: State::Idle { ask: true } }
    }

    /// As [`sleep`], in a runtime that need not be the current one.
    pub(crate) fn after_on(reactor: &Rc<Reactor>, duration: Duration) -> OnReactor {
        let deadline = reactor.now().checked_add(duration);
        OnReactor { reactor: Rc::clone(reactor), sleep: Self::until(deadline) }
    }

    /// When it fires; `None`: never, since that lies beyond the clock's range.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// True once it has fired.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        matches!(self.state, State::Fired)
    }

    /// Sets it to fire at `deadline`. A task that waits for it is woken then, without having to
    /// poll it again.
    pub fn reset(&mut self, deadline: Instant) {
        self.set(Some(deadline));
    }

    pub(super) fn set(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
        let (reactor, waker) = match mem::replace(&mut self.state, State::Idle { ask: true }) {
            State::Idle { .. } | State::Fired => return,
            State::Unset(reactor, waker) => (reactor, waker),
            State::Queued(reactor, key) => match reactor.remove_timer(key) {
                Some(waker) => (reactor, waker),
                // It was due: the task is woken, and is about to poll.
                None => return,
            },
        };
        self.state = match deadline {
            None => State::Unset(reactor, waker),
            Some(deadline) => match reactor.insert_timer(deadline, waker.clone()) {
                Ok(key) => State::Queued(reactor, key),
                Err(_) => {
                    // Whoever waits polls again, and is told the error.
                    waker.wake();
                    return;
                }
            },
        };
    }

    /// Ready once the deadline has passed.
    ///
    /// # Errors
    /// If the runtime is gone, or its alarm cannot be set.
    fn poll_on(
        &mut self,
        reactor: impl FnOnce() -> Rc<Reactor>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Fired => return Poll::Ready(Ok(())),
            State::Idle { ask } => {
                let ask = *ask;
                if let Err(error) = self.begin(reactor(), ask, cx) {
                    return Poll::Ready(Err(error));
                }
            }
            State::Unset(_, waker) => waker.clone_from(cx.waker()),
            State::Queued(reactor, key) => {
                if reactor.renew_timer(*key, cx.waker()) == Queued::Left {
                    let fired =
                        self.deadline.map_or(Ok(()), |deadline| reactor.check_fired(deadline));
                    if let Err(gone) = fired {
                        return Poll::Ready(Err(gone));
                    }
                    self.state = State::Fired;
                }
            }
        }
        if self.is_elapsed() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn begin(&mut self, reactor: Rc<Reactor>, ask: bool, cx: &mut Context<'_>) -> io::Result<()> {
        let waker = cx.waker();
        self.state = match self.deadline {
            None => State::Unset(reactor, waker.clone()),
            Some(deadline) if ask && reactor.budget().has_left() && deadline <= reactor.now() => {
                reactor.budget().spend();
                State::Fired
            }
            Some(deadline) => {
                let key = reactor.insert_timer(deadline, waker.clone())?;
                State::Queued(reactor, key)
            }
        };
        Ok(())
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let reactor = || Rc::clone(&current::expect().reactor);
        self.poll_on(reactor, cx).map(|fired| {
            if let Err(error) = fired {
                panic!("a timer cannot wait: {error}");
            }
        })
    }
}

impl FusedFuture for Sleep {
    fn is_terminated(&self) -> bool {
        self.is_elapsed()
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let State::Queued(reactor, key) = &self.state {
            drop(reactor.remove_timer(*key));
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Idle { .. } => "idle",
            State::Queued(..) | State::Unset(..) => "queued",
            State::Fired => "fired",
        };
        f.debug_struct("Sleep").field("deadline", &self.deadline).field("state", &state).finish()
    }
}

/// A sleep in the runtime of a source.
pub(crate) struct OnReactor {
    reactor: Rc<Reactor>,
    sleep: Sleep,
}

impl Future for OnReactor {
    /// An error if the runtime is gone.
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { reactor, sleep } = &mut *self;
        sleep.poll_on(|| Rc::clone(reactor), cx)
    }
}
