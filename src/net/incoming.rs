//! Layer 6: a stream of accepted connections.
//! Invariant: when descriptors or memory have run out, accept(2) is tried once in a while, not for
//! ever: the listener stays ready all the time.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use rustix::io::Errno;

use crate::reactor::Reactor;
use crate::time::{OnReactor, Sleep};

/// How long no connection is accepted after one was refused for want of descriptors or memory.
/// Asyncio waits a second; a tenth keeps the processor idle all the same, and recovers sooner.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts one connection after the other; from `incoming()` of a listener. It never ends.
///
/// When the process has no descriptors or memory left, the stream yields that error once, and
/// then tries again by itself every 100 ms, without an error, until it can go on: connections
/// that are being served are not disturbed, and the processor stays idle. Other errors, such as
/// that of a connection which was gone before it was accepted, are yielded as they come.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Incoming<'l, C> {
    poll_accept: PollAccept<'l, C>,
    reactor: Rc<Reactor>,
    pause: Option<OnReactor>,
}

pub(super) type PollAccept<'l, C> = Box<dyn FnMut(&mut Context<'_>) -> Poll<io::Result<C>> + 'l>;

impl<'l, C> Incoming<'l, C> {
    pub(super) fn new(reactor: &Rc<Reactor>, poll_accept: PollAccept<'l, C>) -> Self {
        Self { poll_accept, reactor: Rc::clone(reactor), pause: None }
    }
}

impl<C> Stream for Incoming<'_, C> {
    type Item = io::Result<C>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(Pin::new(pause).poll(cx))?;
            }
            let had_paused = self.pause.is_some();
            match ready!((self.poll_accept)(cx)) {
                Err(error) if is_exhaustion(&error) => {
                    self.pause = Some(Sleep::after_on(&self.reactor, PAUSE));
                    if !had_paused {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                result => {
                    self.pause = None;
                    return Poll::Ready(Some(result));
                }
            }
        }
    }
}

/// True if the process or the system is out of something, rather than this connection bad.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

impl<C> fmt::Debug for Incoming<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("is_paused", &self.pause.is_some()).finish_non_exhaustive()
    }
}
