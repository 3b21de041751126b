//! Layer 5: a future with a deadline.
//! Imports `timer`. Invariant: the future is polled before the clock is asked, so a value that
//! is there is never lost to a deadline; and the clock is asked though the future used up the
//! task's budget.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::Timer;

/// Gives `future` until `duration` has passed.
///
/// ```
/// use std::time::Duration;
/// use selkie::time::{Elapsed, timeout};
///
/// selkie::block_on(async {
///     assert_eq!(timeout(Duration::from_secs(10), async { 7 }).await, Ok(7));
///     let never = std::future::pending::<()>();
///     assert_eq!(timeout(Duration::from_millis(1), never).await, Err(Elapsed));
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// As [`Timer`].
///
/// # Cancel safety
/// As that of `future`, which is dropped with it.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { future, timer: Timer::after(duration) }
}

/// As [`timeout`], until `deadline`.
///
/// # Panics
/// As [`timeout`].
///
/// # Cancel safety
/// As [`timeout`].
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout { future, timer: Timer::at(deadline) }
}

pin_project! {
    /// The future of [`timeout`]: `Ok` of the future's value, or [`Elapsed`].
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        timer: Timer,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(value) = this.future.poll(cx) {
            return Poll::Ready(Ok(value));
        }
        Pin::new(this.timer).poll(cx).map(|_| Err(Elapsed))
    }
}

/// The time is up. Converts into an [`io::Error`] of kind `TimedOut`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation did not end before its deadline; allow more time or retry")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}
