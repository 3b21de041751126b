//! Layer 4: the futures-io traits.
//! Imports its siblings. Invariant: a socket is written without SIGPIPE, and a short read counts
//! as "drained" for stream sockets only, where it ended for want of bytes.

use std::any::TypeId;
use std::io::ErrorKind::{Interrupted, WouldBlock};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, RecvMsg, ReturnFlags, SendAncillaryBuffer, Shutdown, recv,
    recvmsg, send, sendmsg, shutdown,
};
use socket2::Socket;

use super::Async;
use super::registration::{Cut, Received};
use super::sigpipe::NO_SIGNAL;
use crate::reactor::Direction;

/// True if `T` is `U`; known when the code is compiled.
fn is<T: 'static, U: 'static>() -> bool {
    TypeId::of::<T>() == TypeId::of::<U>()
}

/// True for the types that are sockets and can be written to.
fn is_socket<T: 'static>() -> bool {
    is::<T, TcpStream>() || is::<T, UnixStream>() || is::<T, Socket>()
}

/// Reads from a TCP stream. A short read has taken all there was. That is not so for a terminal, a
/// pipe of packets, or a socket of records.
#[inline]
fn receive_tcp(io: impl AsFd, buf: &mut [u8]) -> io::Result<Received> {
    let most = buf.len();
    let (len, _) = recv(io, buf, RecvFlags::empty())?;
    Ok(Received { len, cut: if (1..most).contains(&len) { Cut::Short } else { Cut::Elsewhere } })
}

/// Reads from a Unix stream.
///
/// Such a read also ends behind bytes that came with a descriptor, and between bytes of different
/// senders where these are asked for (`SO_PASSCRED`). Then there is something to be received
/// beside the bytes: we do not take it, and the system tells that it was cut.
#[inline]
fn receive_unix(io: impl AsFd, buf: &mut [u8]) -> io::Result<Received> {
    let most = buf.len();
    let mut nothing = RecvAncillaryBuffer::default();
    let bufs = &mut [IoSliceMut::new(buf)];
    let RecvMsg { bytes: len, flags, .. } = recvmsg(io, bufs, &mut nothing, RecvFlags::empty())?;
    let is_short = (1..most).contains(&len) && !flags.contains(ReturnFlags::CTRUNC);
    Ok(Received { len, cut: if is_short { Cut::Short } else { Cut::Elsewhere } })
}

/// Writes to `io`; to a socket without SIGPIPE.
#[inline]
fn write<T: AsFd + 'static>(io: &T, buf: &[u8]) -> io::Result<usize>
where
    for<'a> &'a T: Write,
{
    if is_socket::<T>() { Ok(send(io, buf, NO_SIGNAL)?) } else { (&mut &*io).write(buf) }
}

fn write_vectored<T: AsFd + 'static>(io: &T, bufs: &[IoSlice<'_>]) -> io::Result<usize>
where
    for<'a> &'a T: Write,
{
    /// `IOV_MAX` of Linux: more is refused with EMSGSIZE.
    const MOST_BUFFERS: usize = 1024;

    if is_socket::<T>() {
        let bufs = &bufs[..bufs.len().min(MOST_BUFFERS)];
        Ok(sendmsg(io, bufs, &mut SendAncillaryBuffer::default(), NO_SIGNAL)?)
    } else {
        (&mut &*io).write_vectored(bufs)
    }
}

impl<T: AsFd + 'static> AsyncRead for &Async<T>
where
    for<'a> &'a T: Read,
{
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut io = self.get_ref();
        if is::<T, TcpStream>() {
            self.registration.poll_read(cx, || receive_tcp(io, buf))
        } else if is::<T, UnixStream>() {
            self.registration.poll_read(cx, || receive_unix(io, buf))
        } else {
            self.registration.poll_io(Direction::Read, None, cx, || io.read(buf))
        }
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut io = self.get_ref();
        self.registration.poll_io(Direction::Read, None, cx, || io.read_vectored(bufs))
    }
}

impl<T: AsFd + 'static> AsyncWrite for &Async<T>
where
    for<'a> &'a T: Write,
{
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let io = self.get_ref();
        self.registration.poll_io(Direction::Write, None, cx, || write(io, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let io = self.get_ref();
        self.registration.poll_io(Direction::Write, None, cx, || write_vectored(io, bufs))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut io = self.get_ref();
        // Tried even if there is no room to write: most have nothing to flush, and `poll_close`
        // must not wait for a peer that does not read.
        match io.flush() {
            Err(error) if [WouldBlock, Interrupted].contains(&error.kind()) => {}
            result => return Poll::Ready(result),
        }
        self.registration.poll_io(Direction::Write, None, cx, || io.flush())
    }

    /// Shuts the write side of a socket down: the peer reads the end of file, and what it still
    /// sends can be read. What is no socket is flushed.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.as_mut().poll_flush(cx))?;
        Poll::Ready(match shutdown(self.get_ref().as_fd(), Shutdown::Write) {
            // Not a socket, or one whose peer is gone already.
            Ok(()) | Err(Errno::NOTSOCK | Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }
}

impl<T: AsFd + 'static> AsyncRead for Async<T>
where
    for<'a> &'a T: Read,
{
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

impl<T: AsFd + 'static> AsyncWrite for Async<T>
where
    for<'a> &'a T: Write,
{
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
