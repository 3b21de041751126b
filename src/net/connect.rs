//! Layer 6: how a stream socket gets connected, TCP or Unix.
//! Invariant: watched only after connect(2) was called, since an unconnected socket reports a
//! hang-up.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::executor::current;
use crate::io::Async;
use crate::reactor::Kind;
use crate::sys::{AsFd, BorrowedFd, OwnedFd};

/// A stream socket that is connected, or on its way to be.
pub(super) struct Begun<T> {
    stream: Async<T>,
    connect: Connect,
}

/// Calls connect(2) for a socket that is non-blocking. If its `kind` is not known, the system is
/// asked for it when it matters.
///
/// Not async, so that no future keeps the address, which is as long as the longest of any family.
pub(super) fn begin<T>(
    socket: Socket,
    kind: Option<Kind>,
    address: &SockAddr,
) -> io::Result<Begun<T>>
where
    T: AsFd + From<OwnedFd> + 'static,
{
    let connect = begin_connect(&socket, address)?;
    let reactor = Rc::clone(&current::expect().reactor);
    let stream = Async::fresh(T::from(OwnedFd::from(socket)), kind, reactor)?;
    Ok(Begun { stream, connect })
}

/// A TCP stream that is connected to `address`, or on its way to be.
pub(super) fn begin_tcp(address: SocketAddr) -> io::Result<Begun<TcpStream>> {
    let reactor = &current::expect().reactor;
    if let Some(stream) = reactor.world().and_then(|world| world.connect_tcp(address)) {
        let stream = Async::fresh(stream?, None, Rc::clone(reactor))?;
        return Ok(Begun { stream, connect: Connect::InProgress });
    }
    let socket = stream_socket(Domain::for_address(address))?;
    begin(socket, Some(Kind::Tcp), &SockAddr::from(address))
}

/// How far a connect(2) has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connect {
    Done,
    InProgress,
}

/// connect(2) of a socket that is non-blocking.
pub(super) fn begin_connect(socket: &Socket, address: &SockAddr) -> io::Result<Connect> {
    match socket.connect(address) {
        Ok(()) => Ok(Connect::Done),
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {
            Ok(Connect::InProgress)
        }
        Err(error) => Err(error),
    }
}

impl<T: AsFd> Begun<T> {
    /// Waits until the socket is connected.
    pub(super) async fn end(self) -> io::Result<Async<T>> {
        if self.connect == Connect::InProgress {
            self.stream.writable().await?;
            self.stream
                .instead(|world, stream| world.finish_connect(stream))
                .unwrap_or_else(|| connected(self.stream.descriptor()))?;
        }
        Ok(self.stream)
    }
}

/// # Errors
/// If the system says that a socket is not connected.
pub(super) fn connected(stream: BorrowedFd<'_>) -> io::Result<()> {
    let socket = SockRef::from(&stream);
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    // Writable and without an error is not yet connected: ask for the peer.
    socket.peer_addr().map(|_| ())
}

/// A stream socket that is non-blocking and close-on-exec.
pub(super) fn stream_socket(domain: Domain) -> io::Result<Socket> {
    #[cfg(target_os = "linux")]
    {
        Socket::new(domain, Type::STREAM.cloexec().nonblocking(), None)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let socket = Socket::new(domain, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}
