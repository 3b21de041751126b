//! Layer 2: an operation is tried, and waits while it would block: the one loop that all
//! operations share.
//! Invariant: a waiter is put into the list only while the source is not ready.

use std::io;
use std::task::{Context, Poll, Waker, ready};

use rustix::io::Errno;

use super::Reactor;
use super::side::{Next, Side};
use super::source::{Direction, State, Tick};
use super::waiter::Waiter;

/// What a read of a stream brought.
pub(crate) struct Received {
    pub(crate) len: usize,
    pub(crate) cut: Cut,
}

/// Where a read of a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the end of the buffer, for want of bytes.
    Short,
    /// At the end of the buffer, of the stream, or of what the system gives out at once.
    Elsewhere,
}

/// An error of an attempt. An [`Errno`] costs less to look at than an [`io::Error`]: 30 of 600
/// instructions of a message.
pub(crate) trait Refusal: Into<io::Error> {
    fn would_block(&self) -> bool;
    fn is_interrupted(&self) -> bool;
}

impl Refusal for Errno {
    #[inline]
    fn would_block(&self) -> bool {
        *self == Self::WOULDBLOCK || *self == Self::AGAIN
    }

    #[inline]
    fn is_interrupted(&self) -> bool {
        *self == Self::INTR
    }
}

impl Refusal for io::Error {
    #[inline]
    fn would_block(&self) -> bool {
        self.kind() == io::ErrorKind::WouldBlock
    }

    #[inline]
    fn is_interrupted(&self) -> bool {
        self.kind() == io::ErrorKind::Interrupted
    }
}

/// What came of an attempt to wait.
enum Looked {
    Waits,
    /// It became ready meanwhile.
    IsReady,
}

impl Reactor {
    /// Tries `op` as long as it is worth it, and else waits.
    #[inline]
    pub(crate) fn poll_io<R, E: Refusal>(
        &self,
        source: &State,
        direction: Direction,
        waiter: Waiter<'_>,
        cx: &mut Context<'_>,
        mut op: impl FnMut() -> Result<R, E>,
    ) -> Poll<io::Result<R>> {
        self.poll_attempts(source, direction, waiter, cx, |_| op())
    }

    /// As `poll_io`, for a stream: a short read may tell that there is nothing more.
    pub(crate) fn poll_read(
        &self,
        source: &State,
        cx: &mut Context<'_>,
        mut op: impl FnMut() -> Result<Received, Errno>,
    ) -> Poll<io::Result<usize>> {
        self.poll_attempts(source, Direction::Read, Waiter::Anonymous, cx, |seen| match op() {
            Ok(Received { len, cut }) => {
                if cut == Cut::Short && source.short_read_drains() {
                    source.clear(Direction::Read, seen);
                }
                Ok(len)
            }
            Err(error) => {
                if error.would_block() {
                    source.found_empty();
                }
                Err(error)
            }
        })
    }

    /// Says what a poll has to do, and does it if that is to wait.
    ///
    /// This and [`tried`](Self::tried) are the part of `poll_attempts` that nearly all polls need,
    /// for an attempt that is a system call alone. They are short, so that they are inlined: that
    /// saves 100 of 620 instructions of a message.
    #[inline(always)]
    pub(crate) fn begin_poll(
        &self,
        source: &State,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Next {
        let side = source.side(direction);
        match side.next() {
            Next::Try if self.budget().may_proceed(&side.stamp) => Next::Try,
            Next::Wait => {
                // Perhaps user code, which may even take a turn.
                let waker = cx.waker().clone();
                if side.next() != Next::Wait {
                    return Next::LookCloser;
                }
                side.take_first_place(&mut Waiter::Anonymous, waker);
                Next::Wait
            }
            _ => Next::LookCloser,
        }
    }

    /// What an attempt brought after `begin_poll`. `None`: look closer.
    #[inline(always)]
    pub(crate) fn tried(
        &self,
        source: &State,
        direction: Direction,
        result: Result<Received, Errno>,
    ) -> Option<io::Result<usize>> {
        match result {
            Ok(Received { len, cut }) => {
                if cut == Cut::Short && source.short_read_drains() {
                    source.side(direction).set_empty();
                }
                self.budget().spend();
                Some(Ok(len))
            }
            Err(error) if error.would_block() => {
                if direction == Direction::Read {
                    source.found_empty();
                }
                source.side(direction).set_empty();
                None
            }
            Err(error) if error.is_interrupted() => None,
            // The system may tell it once only.
            Err(error) => {
                self.budget().spend();
                Some(Err(error.into()))
            }
        }
    }

    #[inline]
    fn poll_attempts<R, E: Refusal>(
        &self,
        source: &State,
        direction: Direction,
        mut waiter: Waiter<'_>,
        cx: &mut Context<'_>,
        mut op: impl FnMut(Tick) -> Result<R, E>,
    ) -> Poll<io::Result<R>> {
        let side = source.side(direction);
        let budget = self.budget();
        loop {
            let Some(seen) = source.ready(direction) else {
                match self.wait(source, side, &mut waiter, cx.waker()) {
                    Ok(Looked::Waits) => return Poll::Pending,
                    Ok(Looked::IsReady) => continue,
                    Err(error) => return Poll::Ready(Err(error)),
                }
            };
            ready!(budget.poll_proceed(&side.stamp, cx));
            match op(seen) {
                Err(error) if error.would_block() => {
                    source.clear(direction, seen);
                }
                Err(error) if error.is_interrupted() => {}
                result => {
                    budget.spend();
                    if matches!(waiter, Waiter::Anonymous) {
                        side.serve(cx.waker());
                    }
                    return Poll::Ready(result.map_err(Into::into));
                }
            }
        }
    }

    /// Puts a waiter into the list, and has the system watch.
    ///
    /// # Errors
    /// If the runtime is gone, or the system refuses to watch.
    fn wait(
        &self,
        source: &State,
        side: &Side,
        waiter: &mut Waiter<'_>,
        waker: &Waker,
    ) -> io::Result<Looked> {
        if !side.has(waiter, waker) {
            // Perhaps user code, which may even take a turn.
            let waker = waker.clone();
            if side.is_ready() {
                return Ok(Looked::IsReady);
            }
            side.put(waiter, waker, self.rounds.get()).settle();
        }
        self.watch(source)?;
        Ok(Looked::Waits)
    }
}
