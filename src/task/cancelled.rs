//! Layer 5: the futures of a token. Invariant: a waiter is in the token's list only while its
//! future is alive.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::node::Node;
use crate::executor::Noted;
use crate::slots::SlotKey;

/// The future of [`Cancel::cancelled`](super::Cancel::cancelled). Once ready it is ready for ever.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Cancelled {
    node: Arc<Node>,
    slot: Option<SlotKey>,
    noted: Option<Noted>,
    has_ended: bool,
}

impl Cancelled {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node, slot: None, noted: None, has_ended: false }
    }
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { node, slot, noted, .. } = &mut *self;
        if !node.is_cancelled() {
            if node.has_waiter(*slot, cx.waker()) {
                return Poll::Pending;
            }
            // Cloned and dropped while nothing is locked: a waker is user code.
            let unused = node.put_waiter(slot, cx.waker().clone());
            drop(unused);
            Noted::note(noted, || "a Cancel".into());
        }
        if !node.is_cancelled() {
            return Poll::Pending;
        }
        self.noted = None;
        self.has_ended = true;
        Poll::Ready(())
    }
}

impl FusedFuture for Cancelled {
    fn is_terminated(&self) -> bool {
        self.has_ended
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        let waker = self.slot.and_then(|slot| self.node.remove_waiter(slot));
        drop(waker);
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_cancelled = self.node.is_cancelled();
        f.debug_struct("Cancelled").field("is_cancelled", &is_cancelled).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Cancel::run_until_cancelled`](super::Cancel::run_until_cancelled).
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct RunUntilCancelled<F> {
        #[pin]
        future: F,
        cancelled: Cancelled,
    }
}

impl<F> RunUntilCancelled<F> {
    pub(super) fn new(future: F, cancelled: Cancelled) -> Self {
        Self { future, cancelled }
    }
}

impl<F: Future> Future for RunUntilCancelled<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // First, so that a value that is there is not lost.
        if let Poll::Ready(value) = this.future.poll(cx) {
            return Poll::Ready(Some(value));
        }
        ready!(Pin::new(this.cancelled).poll(cx));
        Poll::Ready(None)
    }
}
