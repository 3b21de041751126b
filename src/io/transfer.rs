//! Layer 4: bytes in and out of a descriptor, by what kind of file it is.
//! Invariant: a socket is never waited for and never raises SIGPIPE, whatever its mode; a short
//! read counts as such for streams of bytes only, where it ended for want of bytes.

use std::io::{IoSlice, IoSliceMut};

use rustix::buffer::Buffer;
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, RecvMsg, ReturnFlags, SendAncillaryBuffer, SendFlags, recv,
    recvmsg, send, sendmsg,
};

use super::sigpipe::NO_SIGNAL;
use crate::reactor::{Cut, Kind, Received};
use crate::sys::BorrowedFd;

/// `IOV_MAX` of Linux: more is refused with EMSGSIZE.
const MOST_BUFFERS: usize = 1024;

/// Where a read of `len` bytes ended, of a stream that had room for `most`.
#[inline]
fn cut(len: usize, most: usize) -> Cut {
    if (1..most).contains(&len) { Cut::Short } else { Cut::Elsewhere }
}

/// Reads into `buf`.
pub(super) fn read(fd: BorrowedFd<'_>, kind: Kind, buf: &mut [u8]) -> rustix::io::Result<Received> {
    let most = buf.len();
    match kind {
        Kind::Tcp => read_tcp(fd, buf),
        Kind::UnixStream => receive_message(fd, kind, &mut [IoSliceMut::new(buf)], most),
        Kind::Socket => {
            let (len, _) = recv(fd, buf, RecvFlags::DONTWAIT)?;
            Ok(Received { len, cut: Cut::Elsewhere })
        }
        Kind::File => Ok(Received { len: rustix::io::read(fd, buf)?, cut: Cut::Elsewhere }),
    }
}

/// Reads from a TCP connection.
#[inline]
pub(super) fn read_tcp<'b, E>(fd: BorrowedFd<'_>, buf: &'b mut [E]) -> rustix::io::Result<Received>
where
    &'b mut [E]: Buffer<u8>,
{
    let most = buf.len();
    // The second number is no longer than the first, unless records are asked for.
    let (_, len) = recv(fd, buf, RecvFlags::DONTWAIT)?;
    Ok(Received { len, cut: cut(len, most) })
}

/// Reads into a buffer of any kind; of a Unix stream, a short read tells nothing.
#[inline]
pub(super) fn read_into<B: Buffer<u8>>(
    fd: BorrowedFd<'_>,
    kind: Kind,
    most: usize,
    buf: B,
    len_of: impl FnOnce(B::Output) -> usize,
) -> rustix::io::Result<Received> {
    if !kind.is_socket() {
        let len = len_of(rustix::io::read(fd, buf)?);
        return Ok(Received { len, cut: Cut::Elsewhere });
    }
    let (_, len) = recv(fd, buf, RecvFlags::DONTWAIT)?;
    let cut = if kind == Kind::Tcp { cut(len, most) } else { Cut::Elsewhere };
    Ok(Received { len, cut })
}

/// Reads into several buffers.
pub(super) fn read_vectored(
    fd: BorrowedFd<'_>,
    kind: Kind,
    bufs: &mut [IoSliceMut<'_>],
) -> rustix::io::Result<Received> {
    let count = bufs.len().min(MOST_BUFFERS);
    let bufs = &mut bufs[..count];
    if !kind.is_socket() {
        return Ok(Received { len: rustix::io::readv(fd, bufs)?, cut: Cut::Elsewhere });
    }
    let most = bufs.iter().map(|buf| buf.len()).sum();
    receive_message(fd, kind, bufs, most)
}

/// Reads from a socket with recvmsg(2).
///
/// A read of a Unix stream also ends behind bytes that came with a descriptor, and between bytes of
/// different senders where these are asked for (`SO_PASSCRED`). Then there is something to be
/// received beside the bytes: we do not take it, and the system tells that it was cut.
#[inline]
fn receive_message(
    fd: BorrowedFd<'_>,
    kind: Kind,
    bufs: &mut [IoSliceMut<'_>],
    most: usize,
) -> rustix::io::Result<Received> {
    let mut nothing = RecvAncillaryBuffer::default();
    let RecvMsg { bytes: len, flags, .. } = recvmsg(fd, bufs, &mut nothing, RecvFlags::DONTWAIT)?;
    let is_stream = matches!(kind, Kind::Tcp | Kind::UnixStream);
    let cut = match cut(len, most) {
        Cut::Short if is_stream && !flags.contains(ReturnFlags::CTRUNC) => Cut::Short,
        _ => Cut::Elsewhere,
    };
    Ok(Received { len, cut })
}

/// Writes `buf`.
pub(super) fn write(fd: BorrowedFd<'_>, kind: Kind, buf: &[u8]) -> rustix::io::Result<usize> {
    if kind.is_socket() { write_socket(fd, buf) } else { rustix::io::write(fd, buf) }
}

#[inline]
fn write_socket(fd: BorrowedFd<'_>, buf: &[u8]) -> rustix::io::Result<usize> {
    send(fd, buf, SendFlags::DONTWAIT | NO_SIGNAL)
}

/// Writes `buf` to a TCP connection.
#[inline]
pub(super) fn write_tcp(fd: BorrowedFd<'_>, buf: &[u8]) -> rustix::io::Result<Received> {
    Ok(Received { len: write_socket(fd, buf)?, cut: Cut::Elsewhere })
}

/// Writes several buffers.
pub(super) fn write_vectored(
    fd: BorrowedFd<'_>,
    kind: Kind,
    bufs: &[IoSlice<'_>],
) -> rustix::io::Result<usize> {
    let bufs = &bufs[..bufs.len().min(MOST_BUFFERS)];
    Ok(if kind.is_socket() {
        let flags = SendFlags::DONTWAIT | NO_SIGNAL;
        sendmsg(fd, bufs, &mut SendAncillaryBuffer::default(), flags)?
    } else {
        rustix::io::writev(fd, bufs)?
    })
}
