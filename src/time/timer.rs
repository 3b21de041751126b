//! Layer 5: one deadline, as a future.
//! Imports `runtime`. Invariant: joins a runtime at its first poll, not before.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::{FusedStream, Stream};

use crate::runtime::{Deadline, current_reactor};

/// Waits until `duration` has passed.
///
/// # Panics
/// When it is first polled, if there is no current runtime.
///
/// # Cancel safety
/// May be dropped at any time; the timer leaves the queue at once.
pub fn sleep(duration: Duration) -> Timer {
    Timer::after(duration)
}

/// Waits until `deadline`. A deadline in the past is due in the next turn.
///
/// # Panics
/// As [`sleep`].
///
/// # Cancel safety
/// As [`sleep`].
pub fn sleep_until(deadline: Instant) -> Timer {
    Timer::at(deadline)
}

/// A deadline: a future of the [`Instant`] that it was set to, and a stream of that one item.
///
/// It joins the current runtime when it is first polled, and leaves it when it fires or is
/// dropped. Once it has fired it is ready for ever; [`set_at`](Self::set_at) sets it anew.
///
/// # Panics
/// When it is first polled outside a runtime, and when its runtime is gone: it could never fire.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Timer {
    /// `None`: never.
    deadline: Option<Instant>,
    state: State,
}

/// Idle ─first poll→ Queued ─due→ Fired ─set→ Idle
enum State {
    Idle,
    Queued(Deadline),
    Fired,
}

impl Timer {
    /// Fires when `duration` has passed.
    pub fn after(duration: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(duration), state: State::Idle }
    }

    /// Fires at `deadline`.
    pub fn at(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), state: State::Idle }
    }

    /// Never fires, until it is set.
    pub fn never() -> Self {
        Self { deadline: None, state: State::Idle }
    }

    /// When it fires; `None`: never.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Sets it to fire when `duration` has passed from now on.
    pub fn set_after(&mut self, duration: Duration) {
        self.set(Instant::now().checked_add(duration));
    }

    /// Sets it to fire at `deadline`. A task that waited for the old one has to poll again.
    pub fn set_at(&mut self, deadline: Instant) {
        self.set(Some(deadline));
    }

    fn set(&mut self, deadline: Option<Instant>) {
        self.state = State::Idle;
        self.deadline = deadline;
    }
}

impl Future for Timer {
    type Output = Instant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        if matches!(self.state, State::Idle) {
            self.state = State::Queued(Deadline::new(current_reactor(), deadline));
        }
        if let State::Queued(queued) = &mut self.state {
            if let Err(error) = ready!(queued.poll(cx)) {
                panic!("a timer cannot wait: {error}");
            }
            self.state = State::Fired;
        }
        Poll::Ready(deadline)
    }
}

impl Stream for Timer {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        if matches!(self.state, State::Fired) {
            return Poll::Ready(None);
        }
        self.as_mut().poll(cx).map(Some)
    }
}

impl FusedStream for Timer {
    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Fired)
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Idle => "idle",
            State::Queued(_) => "queued",
            State::Fired => "fired",
        };
        f.debug_struct("Timer").field("deadline", &self.deadline).field("state", &state).finish()
    }
}
