//! Layer 4: a source's place in its reactor, and the one loop that all operations share.
//! Imports `runtime` and `reactor`. Invariant: registered from its making to its drop, and the
//! descriptor's blocking mode is then what it was before, though the runtime be gone by then.

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};

use crate::reactor::{Direction, Reactor, Source, Tick, WaiterId};
use crate::runtime::current_reactor;

pub(super) struct Registration {
    reactor: Rc<Reactor>,
    source: Rc<Source>,
    found: Found,
}

/// How the descriptor was when it came, and is to be left.
enum Found {
    Blocking(Rc<dyn AsFd>),
    NonBlocking,
}

/// What a read of a stream brought.
pub(super) struct Received {
    pub(super) len: usize,
    pub(super) cut: Cut,
}

/// Where a read of a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Before the end of the buffer, for want of bytes.
    Short,
    /// At the end of the buffer, of the stream, or of what the system gives out at once.
    Elsewhere,
}

impl Registration {
    #[track_caller]
    pub(super) fn nonblocking(io: Rc<dyn AsFd>) -> io::Result<Self> {
        let reactor = current_reactor();
        let source = reactor.register(io)?;
        Ok(Self { reactor, source, found: Found::NonBlocking })
    }

    /// Makes the descriptor non-blocking, if it is not.
    #[track_caller]
    pub(super) fn blocking_or_not(io: Rc<dyn AsFd>) -> io::Result<Self> {
        let flags = fcntl_getfl(&*io)?;
        let mut registration = Self::nonblocking(Rc::clone(&io))?;
        if !flags.contains(OFlags::NONBLOCK) {
            fcntl_setfl(&*io, flags | OFlags::NONBLOCK)?;
            registration.found = Found::Blocking(io);
        }
        Ok(registration)
    }

    /// Makes the descriptor blocking again, if it was.
    pub(super) fn restore(&mut self) {
        if let Found::Blocking(io) = mem::replace(&mut self.found, Found::NonBlocking)
            && let Ok(flags) = fcntl_getfl(&io)
        {
            // Fails only if it was closed behind our back.
            let _ = fcntl_setfl(&io, flags - OFlags::NONBLOCK);
        }
    }

    pub(super) fn new_waiter(&self, direction: Direction) -> WaiterId {
        self.reactor.new_waiter(&self.source, direction)
    }

    pub(super) fn remove_waiter(&self, direction: Direction, id: WaiterId) {
        self.reactor.remove_waiter(&self.source, direction, id);
    }

    /// Tries `op` as long as it is worth it, and else waits.
    #[inline]
    pub(super) fn poll_io<R>(
        &self,
        direction: Direction,
        id: Option<WaiterId>,
        cx: &mut Context<'_>,
        mut op: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_io_drained(direction, id, cx, |_| op())
    }

    /// As `poll_io`, for a stream: a short read may tell that there is nothing more.
    #[inline]
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        mut op: impl FnMut() -> io::Result<Received>,
    ) -> Poll<io::Result<usize>> {
        self.poll_io_drained(Direction::Read, None, cx, |seen| {
            let Received { len, cut } = op()?;
            if cut == Cut::Short && self.source.short_read_drains() {
                self.source.clear(Direction::Read, seen);
            }
            Ok(len)
        })
    }

    #[inline]
    fn poll_io_drained<R>(
        &self,
        direction: Direction,
        id: Option<WaiterId>,
        cx: &mut Context<'_>,
        mut op: impl FnMut(Tick) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let budget = self.reactor.budget();
        loop {
            let seen = ready!(self.reactor.poll_ready(&self.source, direction, id, cx))?;
            ready!(budget.poll_proceed(self.source.was_put_off(direction), cx));
            match op(seen) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.source.clear(direction, seen);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    budget.spend();
                    return Poll::Ready(result);
                }
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.reactor.unregister(&self.source);
        // A descriptor that others share, such as standard input, must not stay non-blocking. A
        // socket is shared by its clones, in this program, whose loop they would block.
        if let Found::Blocking(io) = &self.found
            && fstat(io).is_ok_and(|stat| !FileType::from_raw_mode(stat.st_mode).is_socket())
        {
            self.restore();
        }
    }
}
