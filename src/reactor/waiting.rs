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
            // Then it was the signal, not the want of bytes.
            Err(error) if error.would_block() && source.has_bytes_behind_mark() => Err(Errno::INTR),
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
                    if source.has_bytes_behind_mark() {
                        return None;
                    }
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
        let mut has_doubted = false;
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
                    // Once more: the operation may say so for a reason of its own.
                    if direction == Direction::Read
                        && !has_doubted
                        && source.has_bytes_behind_mark()
                    {
                        has_doubted = true;
                        continue;
                    }
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

#[cfg(all(test, target_os = "linux", not(loom)))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use rustix::net::{RecvFlags, SendFlags, recv, send};

    use super::*;
    use crate::interest::Readiness;
    use crate::probe::Notes;
    use crate::reactor::{Found, Kind};
    use crate::selector::BackendKind;

    /// The near end has a byte to read behind an out-of-band mark, at which it stands.
    fn at_mark() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port to spare");
        let far = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (near, _) = listener.accept().expect("connected");
        for (byte, flags) in [(b"a", SendFlags::empty()), (b"!", SendFlags::OOB)] {
            send(&far, byte, flags).expect("room");
        }
        send(&far, b"b", SendFlags::empty()).expect("room");
        let (len, _) = recv(&near, &mut [0; 8], RecvFlags::empty()).expect("it is there");
        assert_eq!(len, 1);
        (near, far)
    }

    fn received(near: &State, buf: &mut [u8]) -> Result<Received, Errno> {
        let (len, _) = recv(near.descriptor(), buf, RecvFlags::DONTWAIT)?;
        Ok(Received { len, cut: Cut::Elsewhere })
    }

    #[test]
    #[cfg_attr(miri, ignore = "needs sockets")]
    fn bytes_behind_a_mark_are_read_though_a_signal_has_ended_the_first_attempt() {
        let epoll = BackendKind::Epoll.open_system().expect("descriptors to spare");
        let notes = Notes { times: false, records: 0, has_systems_clock: true };
        let reactor = Reactor::new(epoll, None, None, false, notes).expect("likewise");
        let mut cx = Context::from_waker(Waker::noop());
        for was_lent in [false, true] {
            let (near, far) = at_mark();
            let source = reactor.register(near, Found::Fresh).expect("a socket");
            let near = &source.state;
            near.set_kind(Kind::Tcp);
            if was_lent {
                // And the program has taken the mark itself.
                near.lend();
                recv(near.descriptor(), &mut [0], RecvFlags::OOB).expect("it is there");
                near.deliver(Readiness::READ, &mut Vec::new());
            } else {
                near.deliver(Readiness::READ | Readiness::PRIORITY, &mut Vec::new());
            }
            assert_eq!(reactor.begin_poll(near, Direction::Read, &mut cx), Next::Try);
            assert!(reactor.tried(near, Direction::Read, Err(Errno::AGAIN)).is_none());
            let (mut attempts, mut buf) = (0, [0; 8]);
            let read = reactor.poll_read(near, &mut cx, || {
                attempts += 1;
                if attempts == 1 { Err(Errno::AGAIN) } else { received(near, &mut buf) }
            });
            assert!(matches!(read, Poll::Ready(Ok(1))), "{read:?}");
            assert_eq!((attempts, buf[0]), (2, b'b'));
            let read = reactor.poll_read(near, &mut cx, || received(near, &mut buf));
            assert!(read.is_pending());

            // An operation of the program's own, as a peek.
            near.deliver(Readiness::READ | Readiness::PRIORITY, &mut Vec::new());
            let mut attempts = 0;
            let mut never = || {
                attempts += 1;
                Err::<(), _>(Errno::AGAIN)
            };
            send(&far, b"c", SendFlags::empty()).expect("room");
            let (read, waiter) = (Direction::Read, Waiter::Anonymous);
            assert!(reactor.poll_io(near, read, waiter, &mut cx, &mut never).is_pending());
            assert_eq!(attempts, 2);
        }
    }
}
