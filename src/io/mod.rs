//! Async I/O on anything with a descriptor: [`Async`].

// Layer 4. Invariant: an operation is tried first, and waits only after `WouldBlock`; whoever
// gives up waiting leaves no trace.

mod operation;
mod ready;
mod sigpipe;
mod standard;
mod stream;
mod transfer;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use self::operation::Operation;
pub(crate) use self::sigpipe::NO_SIGNAL;
pub use self::standard::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
use crate::executor::current;
use crate::reactor::{Direction, Found, Kind, Leave, Reactor, Source, Waiter};
use crate::selector::RegisterError;
use crate::selector::world::{Instead, World};
use crate::sys::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Async I/O on a `T` with a descriptor: a socket, a pipe, a selector, anything that can be
/// watched.
///
/// Belongs to the runtime that is current when it is made, and to that runtime's thread.
///
/// A clone is another handle on the same source, for a task of its own: `T` is dropped with the
/// last one. Any number of tasks may wait for one source, in both directions at once, by `&Async<T>`
/// too, which reads and writes as `Async<T>` itself does. They are served in turn: who found nothing
/// goes before who was served.
///
/// `Async<TcpStream>`, `Async<TcpListener>`, `Async<UdpSocket>` and the Unix sockets have
/// constructors and methods of their own. Everything implements the `futures` traits [`AsyncRead`]
/// and [`AsyncWrite`], by its descriptor: a `Read` of `T`'s own is not called. For all else there is
/// [`read_with`](Self::read_with) and [`write_with`](Self::write_with): try a non-blocking
/// operation, and wait while it would block.
///
/// # Blocking mode
/// [`new`](Self::new) makes the descriptor non-blocking. The mode belongs to the open file
/// description (open(2)), which other descriptors may share: a terminal is standard input and
/// output, and the shell's. So it is given back when the last `Async` on the file, in this runtime,
/// is taken out or dropped. Only a socket that is dropped stays non-blocking, for the sake of its
/// clones; its reads and writes here do not depend on the mode.
///
/// # Out-of-band data
/// Reading by [`AsyncRead`] may take a short read of a TCP stream for the last one, and wait for the
/// next event. A program that takes out-of-band data by a descriptor which it made before or kept
/// from one event to the next (a clone, a reference) reads the bytes behind the mark by
/// [`read_with`](Self::read_with), which never does so.
///
/// [`AsyncRead`]: futures_io::AsyncRead
/// [`AsyncWrite`]: futures_io::AsyncWrite
pub struct Async<T> {
    source: Rc<Source<T>>,
    reactor: Rc<Reactor>,
}

impl<T: AsFd + 'static> Async<T> {
    /// Makes `io` async, and its descriptor non-blocking.
    ///
    /// # Errors
    /// As [`Selector::register`](crate::Selector::register), notably `PermissionDenied` for a
    /// regular file on epoll, and as `fcntl(2)`. The error gives `io` back, and converts into an
    /// [`io::Error`].
    ///
    /// # Panics
    /// If called outside [`Runtime::block_on`](crate::Runtime::block_on),
    /// [`Runtime::enter`](crate::Runtime::enter) and tasks.
    #[track_caller]
    pub fn new(io: T) -> Result<Self, RegisterError<T>> {
        Self::register(io, Found::BlockingOrNot, Rc::clone(&current::expect().reactor))
    }

    /// As [`new`](Self::new), for an `io` that is known to be non-blocking: saves a system call.
    ///
    /// # Errors
    /// As [`Selector::register`](crate::Selector::register). The error gives `io` back.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn new_nonblocking(io: T) -> Result<Self, RegisterError<T>> {
        Self::register(io, Found::NonBlocking, Rc::clone(&current::expect().reactor))
    }

    /// Makes a socket async that was just made here, non-blocking, of a `kind` that is known.
    pub(crate) fn fresh(
        io: T,
        kind: Option<Kind>,
        reactor: Rc<Reactor>,
    ) -> Result<Self, RegisterError<T>> {
        let fresh = Self::register(io, Found::Fresh, reactor)?;
        if let Some(kind) = kind {
            fresh.source.state.set_kind(kind);
        }
        Ok(fresh)
    }

    fn register(io: T, found: Found, reactor: Rc<Reactor>) -> Result<Self, RegisterError<T>> {
        if let Err(error) = sigpipe::prevent(&io) {
            return Err(RegisterError::new(error, io, ()));
        }
        let source = reactor.register(io, found)?;
        Ok(Self { source, reactor })
    }
}

impl<T> Async<T> {
    /// The source. To read and write it directly is fine: readiness is asked for anew.
    pub fn get_ref(&self) -> &T {
        self.source.state.lend();
        &self.source.io
    }

    /// The source, for operations of this crate, after which what is known of it still holds.
    pub(crate) fn io(&self) -> &T {
        &self.source.io
    }

    /// What the runtime's world does instead of the system, with the descriptor that the program
    /// sees.
    #[inline]
    pub(crate) fn instead<R>(
        &self,
        op: impl FnOnce(&dyn World, BorrowedFd<'_>) -> Instead<R>,
    ) -> Instead<R>
    where
        T: AsFd,
    {
        self.reactor.world().and_then(|world| op(world, self.source.io.as_fd()))
    }

    pub(crate) fn reactor(&self) -> &Rc<Reactor> {
        &self.reactor
    }

    pub(crate) fn kind(&self) -> Kind {
        self.source.state.kind()
    }

    /// What a listener accepts is of its own kind, in the system; else nobody knows yet.
    pub(crate) fn kind_of_accepted(&self) -> Option<Kind> {
        self.reactor.world().is_none().then(|| self.kind())
    }

    /// The descriptor that is watched, as [`io`](Self::io).
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.source.state.descriptor()
    }

    /// Gives the source a name, for those who look at what tasks wait for, see
    /// [`inspect`](crate::inspect): `"the database"` says more than a descriptor's number.
    pub fn set_label(&self, label: impl Into<Cow<'static, str>>) {
        self.source.state.set_label(label.into());
    }

    /// Takes the source out, blocking if it was when it came in, unless another `Async` is on the
    /// same open file.
    ///
    /// # Errors
    /// Of kind `ResourceBusy` if there is a clone of this `Async`; this handle is dropped then.
    pub fn into_inner(self) -> io::Result<T> {
        if self.source.state.is_shared() {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "the source cannot be taken out, since another Async is a clone of this one; drop \
                 the clones first",
            ));
        }
        self.reactor.unregister(&self.source.state, Leave::AsFound);
        let source = Rc::clone(&self.source);
        drop(self);
        match Rc::try_unwrap(source) {
            Ok(source) => Ok(source.io),
            Err(_) => Err(io::Error::other("the source is still registered")),
        }
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
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `op`, and of kind `BrokenPipe` if the runtime is gone.
    ///
    /// # Cancel safety
    /// May be dropped at any time: `op` has then either returned `WouldBlock` or not been called.
    pub async fn read_with<R>(&self, mut op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.operation(Direction::Read, || op(self.get_ref())).await
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
        self.operation(Direction::Write, || op(self.get_ref())).await
    }

    /// Tries `op` until it returns something else than `WouldBlock`.
    pub(crate) fn operation<R, F: FnMut() -> io::Result<R>>(
        &self,
        direction: Direction,
        op: F,
    ) -> Operation<'_, F> {
        Operation::new(&self.source.state, &self.reactor, direction, op)
    }

    /// As [`operation`](Self::operation), for a `poll_*` function.
    #[inline]
    pub(crate) fn poll_operation<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        op: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.reactor.poll_io(&self.source.state, direction, Waiter::Anonymous, cx, op)
    }

    /// As [`read_with`](Self::read_with), for hand-written futures.
    ///
    /// All tasks that poll it are woken, in contrast to many such functions elsewhere. There is
    /// no way to say that a task waits no longer: it may be woken once more, in vain.
    ///
    /// # Errors
    /// As [`read_with`](Self::read_with).
    pub fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_operation(Direction::Read, cx, || op(self.get_ref()))
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
        self.poll_operation(Direction::Write, cx, || op(self.get_ref()))
    }
}

impl<T> Clone for Async<T> {
    /// Another handle on the same source.
    fn clone(&self) -> Self {
        self.source.state.add_handle();
        Self { source: Rc::clone(&self.source), reactor: Rc::clone(&self.reactor) }
    }
}

impl<T> Drop for Async<T> {
    fn drop(&mut self) {
        if self.source.state.remove_handle() {
            self.reactor.unregister(&self.source.state, Leave::AsFoundUnlessSocket);
        }
    }
}

impl<T: AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd> AsRawFd for Async<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T> AsRef<T> for Async<T> {
    fn as_ref(&self) -> &T {
        self.get_ref()
    }
}

/// A descriptor that is known to be such a source; made non-blocking here.
impl<T: AsFd + From<OwnedFd> + 'static> TryFrom<OwnedFd> for Async<T> {
    type Error = io::Error;

    #[track_caller]
    fn try_from(descriptor: OwnedFd) -> io::Result<Self> {
        Ok(Self::new(T::from(descriptor))?)
    }
}

/// Takes the source out, as [`Async::into_inner`].
impl<T: Into<OwnedFd>> TryFrom<Async<T>> for OwnedFd {
    type Error = io::Error;

    fn try_from(source: Async<T>) -> io::Result<Self> {
        source.into_inner().map(Into::into)
    }
}

impl<T: fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Async").field("io", &self.source.io).finish_non_exhaustive()
    }
}
