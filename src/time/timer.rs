//! Layer 4: one deadline, as a future and as a stream.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::{FusedFuture, FusedStream, Stream};

use super::clock::now;
use super::sleep::Sleep;

/// A deadline: a future of the [`Instant`] that it was set to, and a stream of that one item, as
/// async-io's. [`sleep`](super::sleep) is a future only.
///
/// It joins the current runtime when it is first polled, and leaves it when it fires or is
/// dropped. Once it has fired it is ready for ever; [`set_at`](Self::set_at) sets it anew.
///
/// # Panics
/// As [`Sleep`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Timer {
    sleep: Sleep,
}

impl Timer {
    /// Fires when `duration` has passed.
    pub fn after(duration: Duration) -> Self {
        Self { sleep: Sleep::after(duration) }
    }

    /// Fires at `deadline`.
    pub fn at(deadline: Instant) -> Self {
        Self { sleep: Sleep::until(Some(deadline)) }
    }

    /// Never fires, until it is set.
    pub fn never() -> Self {
        Self { sleep: Sleep::until(None) }
    }

    /// When it fires; `None`: never.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.sleep.deadline()
    }

    /// Sets it to fire when `duration` has passed from now on. A task that waits for it is woken
    /// then, without having to poll it again.
    pub fn set_after(&mut self, duration: Duration) {
        self.sleep.set(now().checked_add(duration));
    }

    /// Sets it to fire at `deadline`. A task that waits for it is woken then, without having to
    /// poll it again.
    pub fn set_at(&mut self, deadline: Instant) {
        self.sleep.set(Some(deadline));
    }

    /// Sets it to fire never. A task that waits for it goes on to wait, until it is set again.
    pub fn set_never(&mut self) {
        self.sleep.set(None);
    }
}

impl Future for Timer {
    type Output = Instant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        match (Pin::new(&mut self.sleep).poll(cx), self.deadline()) {
            (Poll::Ready(()), Some(deadline)) => Poll::Ready(deadline),
            _ => Poll::Pending,
        }
    }
}

impl FusedFuture for Timer {
    fn is_terminated(&self) -> bool {
        self.sleep.is_elapsed()
    }
}

impl Stream for Timer {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        if self.sleep.is_elapsed() {
            return Poll::Ready(None);
        }
        self.as_mut().poll(cx).map(Some)
    }
}

impl FusedStream for Timer {
    fn is_terminated(&self) -> bool {
        self.sleep.is_elapsed()
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timer").field(&self.sleep).finish()
    }
}
