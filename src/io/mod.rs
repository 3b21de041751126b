//! Layer 4: makes anything with a descriptor async.
//! Imports `runtime` and `reactor`. Invariant: an operation is tried first, and waits only after
//! `WouldBlock`; whoever gives up waiting leaves no trace.

mod operation;
mod registration;
mod sigpipe;
mod standard;
mod stream;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::operation::Operation;
use self::registration::Registration;
pub use self::standard::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
use crate::reactor::Direction;

/// Async I/O on a `T` with a descriptor: a socket, a pipe, a selector, anything that can be
/// watched.
///
/// Makes the descriptor non-blocking, and blocking again, if it was, when it is taken out or, as
/// standard input may be shared with the shell, dropped. A socket that is dropped stays as it is,
/// for the sake of its clones. Belongs to the runtime that is current when it is made, and to that
/// runtime's thread.
///
/// Any number of tasks may wait for one source, in both directions at once: by `&Async<T>`,
/// which reads and writes as `Async<T>` itself does.
///
/// `Async<TcpStream>`, `Async<TcpListener>`, `Async<UdpSocket>` and the Unix sockets have
/// constructors and methods of their own. Streams implement the `futures` traits [`AsyncRead`]
/// and [`AsyncWrite`]. For all the rest there is [`read_with`](Self::read_with) and
/// [`write_with`](Self::write_with): try a non-blocking operation, and wait while it would block.
///
/// [`AsyncRead`]: futures_io::AsyncRead
/// [`AsyncWrite`]: futures_io::AsyncWrite
pub struct Async<T> {
    // Before `io`: it is taken out of the selector first.
    registration: Registration,
    io: Rc<T>,
}

impl<T: AsFd + 'static> Async<T> {
    /// Makes `io` async, and its descriptor non-blocking.
    ///
    /// # Errors
    /// As [`Selector::register`](crate::Selector::register), notably `PermissionDenied` for a
    /// regular file on epoll, and as `fcntl(2)`. `io` is dropped then.
    ///
    /// # Panics
    /// If called outside [`Runtime::block_on`](crate::Runtime::block_on),
    /// [`Runtime::enter`](crate::Runtime::enter) and tasks.
    #[track_caller]
    pub fn new(io: T) -> io::Result<Self> {
        Self::register(io, Registration::blocking_or_not)
    }

    /// As [`new`](Self::new), for an `io` that is known to be non-blocking: saves a system call.
    ///
    /// # Errors
    /// As [`Selector::register`](crate::Selector::register).
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn new_nonblocking(io: T) -> io::Result<Self> {
        Self::register(io, Registration::nonblocking)
    }

    fn register(io: T, register: fn(Rc<dyn AsFd>) -> io::Result<Registration>) -> io::Result<Self> {
        sigpipe::prevent(&io)?;
        let io = Rc::new(io);
        let registration = register(Rc::clone(&io) as Rc<dyn AsFd>)?;
        Ok(Self { registration, io })
    }
}

impl<T> Async<T> {
    /// The source. To read and write it directly is fine: readiness is asked for anew.
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Takes the source out, blocking if it was when it came in.
    ///
    /// # Errors
    /// None is known; of kind `Other` if the source is still referred to by something else.
    pub fn into_inner(self) -> io::Result<T> {
        let Self { mut registration, io } = self;
        registration.restore();
        drop(registration);
        Rc::try_unwrap(io).map_err(|_| io::Error::other("the source is still registered"))
    }

    /// Tries `op`, a non-blocking read of the source, and again whenever the source has become
    /// readable, until it returns something else than `WouldBlock`.
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use selkie::Async;
    ///
    /// selkie::block_on(async {
    ///     let (near, far) = UnixStream::pair()?;
    ///     let (near, far) = (Async::new(near)?, Async::new(far)?);
    ///     near.write_with(|mut io| std::io::Write::write(&mut io, b"hi")).await?;
    ///     let mut buf = [0; 8];
    ///     let len = far.read_with(|mut io| std::io::Read::read(&mut io, &mut buf)).await?;
    ///     assert_eq!(&buf[..len], b"hi");
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `op`, and of kind `BrokenPipe` if the runtime is gone.
    ///
    /// # Cancel safety
    /// May be dropped at any time: `op` has then either returned `WouldBlock` or not been called.
    pub async fn read_with<R>(&self, mut op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.operation(Direction::Read, || op(&self.io)).await
    }

    /// Tries `op`, a non-blocking write to the source, and again whenever the source has become
    /// writable, until it returns something else than `WouldBlock`.
    ///
    /// # Errors
    /// As [`read_with`](Self::read_with).
    ///
    /// # Cancel safety
    /// As [`read_with`](Self::read_with).
    pub async fn write_with<R>(&self, mut op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.operation(Direction::Write, || op(&self.io)).await
    }

    fn operation<R, F: FnMut() -> io::Result<R>>(
        &self,
        direction: Direction,
        op: F,
    ) -> Operation<'_, F> {
        Operation::new(&self.registration, direction, op)
    }

    /// As [`read_with`](Self::read_with), for hand-written futures.
    ///
    /// All tasks that poll it are woken, in contrast to many such functions elsewhere. There is
    /// no way to say that a task waits no longer: at the next event it is woken in vain.
    ///
    /// # Errors
    /// As [`read_with`](Self::read_with).
    pub fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration.poll_io(Direction::Read, None, cx, || op(&self.io))
    }

    /// As [`write_with`](Self::write_with), for hand-written futures; see
    /// [`poll_read_with`](Self::poll_read_with).
    ///
    /// # Errors
    /// As [`write_with`](Self::write_with).
    pub fn poll_write_with<R>(
        &self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration.poll_io(Direction::Write, None, cx, || op(&self.io))
    }
}

impl<T: AsFd> Async<T> {
    /// Waits until the source is readable: until a read would not block, as poll(2) tells.
    ///
    /// # Errors
    /// As poll(2), and of kind `BrokenPipe` if the runtime is gone.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn readable(&self) -> io::Result<()> {
        self.operation(Direction::Read, || ready_now(&self.io, PollFlags::IN)).await
    }

    /// Waits until the source is writable: until a write would not block, as poll(2) tells.
    ///
    /// # Errors
    /// As [`readable`](Self::readable).
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn writable(&self) -> io::Result<()> {
        self.operation(Direction::Write, || ready_now(&self.io, PollFlags::OUT)).await
    }

    /// As [`readable`](Self::readable), for hand-written futures; see
    /// [`poll_read_with`](Self::poll_read_with).
    ///
    /// # Errors
    /// As [`readable`](Self::readable).
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_with(cx, |io| ready_now(io, PollFlags::IN))
    }

    /// As [`writable`](Self::writable), for hand-written futures; see
    /// [`poll_read_with`](Self::poll_read_with).
    ///
    /// # Errors
    /// As [`writable`](Self::writable).
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_with(cx, |io| ready_now(io, PollFlags::OUT))
    }
}

/// Asks the system whether an operation would block: what the reactor knows may be stale when
/// the source was read or written directly.
fn ready_now(io: &impl AsFd, flags: PollFlags) -> io::Result<()> {
    let mut fds = [PollFd::new(io, flags)];
    match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

impl<T: AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl<T: AsFd> AsRawFd for Async<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_fd().as_raw_fd()
    }
}

impl<T> AsRef<T> for Async<T> {
    fn as_ref(&self) -> &T {
        &self.io
    }
}

impl<T: fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Async").field("io", &self.io).finish_non_exhaustive()
    }
}
