//! Layer 4: the futures-io traits, and reading into memory that is not initialised.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

use super::{Async, transfer};
use crate::reactor::{Direction, Kind, Next, Received, Waiter};
use crate::sys::{AsFd, BorrowedFd};

/// Returns from a poll that is the system call of a TCP stream, or a wait, and nothing more.
// No function: it would not be inlined, and costs 30 of 520 instructions of a message then.
macro_rules! poll_at_once {
    ($handle:expr, $cx:expr, $direction:expr, |$fd:ident| $attempt:expr) => {
        let (source, reactor) = (&$handle.source.state, &*$handle.reactor);
        match reactor.begin_poll(source, $direction, $cx) {
            Next::Try => {
                let $fd = source.descriptor();
                if let Some(result) = reactor.tried(source, $direction, $attempt) {
                    return Poll::Ready(result);
                }
            }
            Next::Wait => return Poll::Pending,
            Next::LookCloser => {}
        }
    };
}

impl<T> Async<T> {
    /// Reads by `op`, which is told the descriptor and what it is.
    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(BorrowedFd<'_>, Kind) -> rustix::io::Result<Received>,
    ) -> Poll<io::Result<usize>> {
        let (source, reactor) = (&self.source.state, &*self.reactor);
        reactor.poll_read(source, cx, || op(source.descriptor(), source.kind()))
    }

    /// Writes by `op`, as [`poll_receive`](Self::poll_receive).
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(BorrowedFd<'_>, Kind) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let (source, reactor) = (&self.source.state, &*self.reactor);
        let op = || op(source.descriptor(), source.kind());
        reactor.poll_io(source, Direction::Write, Waiter::Anonymous, cx, op)
    }

    // Not inlined, so that what is tried before stays short.
    #[inline(never)]
    fn poll_read_anyhow(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_receive(cx, |fd, kind| transfer::read(fd, kind, buf))
    }

    #[inline(never)]
    fn poll_write_anyhow(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |fd, kind| transfer::write(fd, kind, buf))
    }

    /// As [`AsyncRead::poll_read`], into memory that need not be initialised: returns how many
    /// bytes of `buf`, from its beginning, are initialised now. For adapters to other crates'
    /// traits.
    ///
    /// # Errors
    /// As read(2) or recv(2).
    pub fn poll_read_uninit(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        poll_at_once!(self, cx, Direction::Read, |fd| transfer::read_tcp(fd, &mut *buf));
        let most = buf.len();
        self.poll_receive(cx, |fd, kind| {
            let len_of = |(filled, _): (&mut [u8], &mut [MaybeUninit<u8>])| filled.len();
            transfer::read_into(fd, kind, most, &mut *buf, len_of)
        })
    }
}

impl<T: AsFd> AsyncRead for &Async<T> {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        poll_at_once!(self, cx, Direction::Read, |fd| transfer::read_tcp(fd, buf));
        self.poll_read_anyhow(cx, buf)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_receive(cx, |fd, kind| transfer::read_vectored(fd, kind, bufs))
    }
}

impl<T: AsFd> AsyncWrite for &Async<T> {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        poll_at_once!(self, cx, Direction::Write, |fd| transfer::write_tcp(fd, buf));
        self.poll_write_anyhow(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |fd, kind| transfer::write_vectored(fd, kind, bufs))
    }

    /// Ready at once: nothing is kept back here.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Shuts the write side of a socket down: the peer reads the end of file, and what it still
    /// sends can be read. What is no socket is closed when the last handle is dropped.
    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match shutdown(self.descriptor(), Shutdown::Write) {
            // Not a socket, or one whose peer is gone already.
            Ok(()) | Err(Errno::NOTSOCK | Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }
}

impl<T: AsFd> AsyncRead for Async<T> {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(cx, buf)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read_vectored(cx, bufs)
    }
}

impl<T: AsFd> AsyncWrite for Async<T> {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_close(cx)
    }
}
