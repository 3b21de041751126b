//! Layer 6: a future that says what it waits for.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::executor::Noted;

/// Says what `future` waits for, where the loop cannot know it: a channel, a lock, a thread.
///
/// ```
/// # selkie::block_on(async {
/// use futures::channel::oneshot;
/// use selkie::inspect::waits_for;
///
/// let (sender, answer) = oneshot::channel();
/// let task = selkie::spawn(waits_for("the answer of the cache", answer));
/// selkie::yield_now().await;
/// println!("{}", selkie::inspect::tasks());
/// # sender.send(()).unwrap();
/// # task.await.unwrap();
/// # });
/// ```
///
/// The note is there from the first time that the future has to wait until its end. It costs that
/// future an entry in a table, and all others nothing.
///
/// # Cancel safety
/// As `future`'s.
pub fn waits_for<F: Future>(what: impl Into<Cow<'static, str>>, future: F) -> WaitsFor<F> {
    WaitsFor { future, what: what.into(), noted: None }
}

pin_project! {
    /// The future of [`waits_for`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct WaitsFor<F> {
        #[pin]
        future: F,
        what: Cow<'static, str>,
        noted: Option<Noted>,
    }
}

impl<F: Future> Future for WaitsFor<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polled = this.future.poll(cx);
        match polled {
            Poll::Ready(_) => *this.noted = None,
            Poll::Pending => Noted::note(this.noted, || this.what.clone()),
        }
        polled
    }
}

impl<F> std::fmt::Debug for WaitsFor<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitsFor").field("what", &self.what).finish_non_exhaustive()
    }
}
