//! Layer 6: the pipe to a child's standard input.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::process;
use std::task::{Context, Poll};

use futures_io::AsyncWrite;

use crate::io::Async;

/// The pipe to a child's standard input.
///
/// To close it, or to drop it, is what the child reads as the end of file.
///
/// # Cancel safety
/// A future that writes may be dropped at any time; `write_all` may then have written a part.
#[derive(Debug)]
pub struct ChildStdin(Option<Async<process::ChildStdin>>);

impl ChildStdin {
    pub(super) fn new(pipe: process::ChildStdin) -> io::Result<Self> {
        Ok(Self(Some(Async::new(pipe)?)))
    }

    /// Takes the pipe out, blocking: as the standard output of another child, for instance.
    ///
    /// # Errors
    /// Of kind `BrokenPipe` if it has been closed.
    pub fn into_inner(self) -> io::Result<process::ChildStdin> {
        self.0.ok_or_else(closed)?.into_inner()
    }

    fn pipe(self: Pin<&mut Self>) -> io::Result<&mut Async<process::ChildStdin>> {
        self.get_mut().0.as_mut().ok_or_else(closed)
    }
}

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.pipe()?).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.pipe()?).poll_write_vectored(cx, bufs)
    }

    /// Ready at once: nothing is kept back here.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the pipe, at once.
    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0 = None;
        Poll::Ready(Ok(()))
    }
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the standard input of this child has been closed; write before it is",
    )
}
