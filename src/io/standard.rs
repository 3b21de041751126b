//! Layer 4: standard input, output and error.
//! Limits: unbuffered; reads and writes of files block for as long as the disk takes. Invariant:
//! no flag of a descriptor that came with the process is ever changed: others share it.

use std::fmt;
use std::io::{self, IsTerminal};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::Async;
use super::ready::ready_now;
use super::sigpipe::NO_SIGNAL;
use crate::executor::current;
use crate::interest::Interest;
use crate::reactor::{Reactor, Stamp};
use crate::sys::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Opens standard input for tasks, see [`Stdin`].
///
/// # Errors
/// Of kind `InvalidInput` if it is open for writing only; as `open(2)` and `dup(2)`, notably
/// `EMFILE`, and `EBADF` if it was closed; and as [`Async::new`].
///
/// # Panics
/// If called outside [`Runtime::block_on`](crate::Runtime::block_on),
/// [`Runtime::enter`](crate::Runtime::enter) and tasks.
#[track_caller]
pub fn stdin() -> io::Result<Stdin> {
    let reactor = Rc::clone(&current::expect().reactor);
    Standard::open(reactor, io::stdin().as_fd(), Purpose::Read)
        .map(Stdin)
        .map_err(|error| unusable("input", &error))
}

/// Opens standard output for tasks, see [`Stdout`].
///
/// # Errors
/// As [`stdin`], of kind `InvalidInput` if it is open for reading only.
///
/// # Panics
/// As [`stdin`].
#[track_caller]
pub fn stdout() -> io::Result<Stdout> {
    let reactor = Rc::clone(&current::expect().reactor);
    Standard::open(reactor, io::stdout().as_fd(), Purpose::Write)
        .map(Stdout)
        .map_err(|error| unusable("output", &error))
}

/// Opens standard error for tasks, see [`Stderr`].
///
/// # Errors
/// As [`stdout`].
///
/// # Panics
/// As [`stdin`].
#[track_caller]
pub fn stderr() -> io::Result<Stderr> {
    let reactor = Rc::clone(&current::expect().reactor);
    Standard::open(reactor, io::stderr().as_fd(), Purpose::Write)
        .map(Stderr)
        .map_err(|error| unusable("error", &error))
}

/// Standard input, from [`stdin`]: a terminal, a pipe, a socket, a file or a device.
///
/// The shell, other processes and [`std::io::stdin`] share the process's descriptor, so that stays
/// as it is, and blocking. A terminal or a pipe is opened anew, a socket is asked not to wait at
/// each call. A file and a device as `/dev/null` is always ready: a read of it takes as long as
/// the disk does. Where a terminal or pipe may not be opened anew (it belongs to another user, or
/// there is no `/proc`), a read blocks the thread if another process takes away what was there at
/// the moment before.
///
/// Unbuffered: wrap it in a `BufReader` of the futures crate to read lines. What
/// [`std::io::stdin`] has in its buffer is not seen here.
///
/// # Cancel safety
/// A future that reads may be dropped at any time: no byte is lost.
#[derive(Debug)]
pub struct Stdin(Standard);

/// Standard output, from [`stdout`]: opened as [`Stdin`] is, so `println!` goes on to work.
///
/// Unbuffered. `println!` has a buffer, which it writes at the end of a line: where lines of both
/// are mixed, end one before the other begins. To flush does nothing, and to close it neither: the
/// process's descriptor stays open. Where it cannot be opened anew, a write of more than
/// `PIPE_BUF` bytes is cut to that, and one to a terminal that is held by Ctrl-S may block.
///
/// # Cancel safety
/// A future that writes may be dropped at any time; `write_all` may then have written a part.
#[derive(Debug)]
pub struct Stdout(Standard);

/// Standard error, from [`stderr`]; as [`Stdout`].
#[derive(Debug)]
pub struct Stderr(Standard);

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf)
    }
}

macro_rules! write_unbuffered {
    ($($output:ident),*) => {$(
        impl AsyncWrite for $output {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_write(cx, buf)
            }

            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
    )*};
}

write_unbuffered!(Stdout, Stderr);

/// What a descriptor is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Read,
    Write,
}

impl Purpose {
    fn access(self) -> OFlags {
        match self {
            Self::Read => OFlags::RDONLY,
            Self::Write => OFlags::WRONLY,
        }
    }

    fn misused(self) -> &'static str {
        match self {
            Self::Read => "it is open for writing only",
            Self::Write => "it is open for reading only",
        }
    }
}

#[derive(Debug)]
enum Standard {
    Waits { io: Async<OwnedFd>, call: Call },
    AlwaysReady(AlwaysReady),
}

/// How a call is kept from blocking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// The description is ours, and non-blocking.
    Plain,
    /// By a flag of each call, which only sockets have.
    DontWait,
    /// Only when poll(2) says that it would not block: that may have changed by then.
    AfterPoll,
}

impl Standard {
    fn open(reactor: Rc<Reactor>, fd: BorrowedFd<'_>, purpose: Purpose) -> io::Result<Self> {
        let access = fcntl_getfl(fd)? & OFlags::RWMODE;
        if access != OFlags::RDWR && access != purpose.access() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, purpose.misused()));
        }
        let kind = FileType::from_raw_mode(fstat(fd)?.st_mode);
        if kind.is_file() || kind.is_dir() || kind.is_block_device() {
            return AlwaysReady::new(reactor, fd).map(Self::AlwaysReady);
        }
        // Any other device may do something when it is opened.
        let may_be_opened = kind.is_fifo() || (kind.is_char_device() && fd.is_terminal());
        let (io, call) = match may_be_opened.then(|| open_anew(fd, purpose)) {
            Some(Ok(own)) => (own, Call::Plain),
            _ if kind.is_socket() => (duplicate(fd)?, Call::DontWait),
            _ => (duplicate(fd)?, Call::AfterPoll),
        };
        match Async::new_nonblocking(io) {
            Ok(io) => Ok(Self::Waits { io, call }),
            // There is nothing to wait for, as the system has it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                AlwaysReady::new(reactor, fd).map(Self::AlwaysReady)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            // Until it would block: a short read of a terminal or of packets is not the last one,
            // and a pipe that was opened anew after its last writer had gone tells no hang-up.
            Self::Waits { io, call } => io.poll_read_with(cx, |io| call.read(io, buf)),
            Self::AlwaysReady(file) => file.poll(cx, |fd| Ok(rustix::io::read(fd, &mut *buf)?)),
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Waits { io, call } => io.poll_write_with(cx, |io| call.write(io, buf)),
            Self::AlwaysReady(file) => file.poll(cx, |fd| Ok(rustix::io::write(fd, buf)?)),
        }
    }
}

impl Call {
    fn read(self, io: &OwnedFd, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::DontWait => return Ok(recv(io, buf, RecvFlags::DONTWAIT)?.0),
            Self::AfterPoll => {
                ready_now(io.as_fd(), Interest::READ)?;
            }
            Self::Plain => {}
        }
        Ok(rustix::io::read(io, buf)?)
    }

    fn write(self, io: &OwnedFd, buf: &[u8]) -> io::Result<usize> {
        let mut most = buf.len();
        match self {
            Self::DontWait => {
                return Ok(send(io, buf, SendFlags::DONTWAIT | NO_SIGNAL)?);
            }
            Self::AfterPoll => {
                ready_now(io.as_fd(), Interest::WRITE)?;
                most = most.min(libc::PIPE_BUF);
            }
            Self::Plain => {}
        }
        Ok(rustix::io::write(io, &buf[..most])?)
    }
}

/// A file, or a device that nothing is waited for at: counts against the budget, no more.
struct AlwaysReady {
    fd: OwnedFd,
    reactor: Rc<Reactor>,
    stamp: Stamp,
}

impl Drop for AlwaysReady {
    fn drop(&mut self) {
        self.reactor.budget().forget(&self.stamp);
    }
}

impl AlwaysReady {
    fn new(reactor: Rc<Reactor>, fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self { fd: duplicate(fd)?, reactor, stamp: Stamp::default() })
    }

    fn poll(
        &self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&OwnedFd) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let budget = self.reactor.budget();
        ready!(budget.poll_proceed(&self.stamp, cx));
        loop {
            match op(&self.fd) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    budget.spend();
                    return Poll::Ready(result);
                }
            }
        }
    }
}

impl fmt::Debug for AlwaysReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlwaysReady").field("fd", &self.fd).finish_non_exhaustive()
    }
}

/// Another number for the same open file description.
fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    /// Behind the three standard descriptors, though one of them be closed.
    const LOWEST: i32 = 3;

    Ok(fcntl_dupfd_cloexec(fd, LOWEST)?)
}

/// Another open file description of the same pipe or terminal, with a blocking mode of its own.
///
/// # Errors
/// If the user may not, if there is no `/proc`, or if a pipe has no reader any more.
fn open_anew(fd: BorrowedFd<'_>, purpose: Purpose) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, open};

    if !cfg!(target_os = "linux") {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    // Without NOCTTY it might become the terminal that sends signals to this process.
    let flags = purpose.access() | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

fn unusable(which: &str, error: &io::Error) -> io::Error {
    let text = format!(
        "standard {which} cannot be used: {error}; look what it is redirected to, and how many \
         descriptors there may be (`ulimit -n`)"
    );
    io::Error::new(error.kind(), text)
}
