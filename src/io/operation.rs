//! Layer 4: the future of every async operation on a source.
//! Invariant: a waiter of this future is in the source's list only while the future is alive.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::reactor::{Direction, Reactor, State, Waiter, WaiterId};

/// Tries `op`, waits while it would block.
#[must_use = "a future does nothing unless it is awaited"]
pub(crate) struct Operation<'a, F> {
    source: &'a State,
    reactor: &'a Reactor,
    direction: Direction,
    id: Option<WaiterId>,
    op: F,
}

impl<'a, F> Operation<'a, F> {
    pub(super) fn new(
        source: &'a State,
        reactor: &'a Reactor,
        direction: Direction,
        op: F,
    ) -> Self {
        Self { source, reactor, direction, id: None, op }
    }
}

// `op` is never pinned: it is called by `&mut`.
impl<F> Unpin for Operation<'_, F> {}

impl<R, F: FnMut() -> io::Result<R>> Future for Operation<'_, F> {
    type Output = io::Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { source, reactor, direction, id, op } = &mut *self;
        reactor.poll_io(source, *direction, Waiter::Named(id), cx, op)
    }
}

impl<F> Drop for Operation<'_, F> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.source.remove_waiter(self.direction, id);
        }
    }
}
