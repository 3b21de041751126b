//! Layer 6: TCP.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::task::{Context, Poll};

use rustix::net::{RecvFlags, recv};
use socket2::SockRef;

use super::address::ToAddresses;
use super::incoming::Incoming;
use super::listen::listen;
use crate::io::Async;
use crate::reactor::Direction;
use crate::selector::world::World;
use crate::sys::{AsFd, BorrowedFd};

impl Async<TcpListener> {
    /// Listens on an IP address, or on the first of several that is free; port 0 lets the system
    /// choose one, which [`local_addr`](Self::local_addr) tells.
    ///
    /// As [`TcpListener::bind`] does, it takes an address that an earlier listener has just left
    /// (`SO_REUSEADDR`); but more connections than 128 may come at once. For other options see
    /// [`net::listen`](super::listen()).
    ///
    /// # Errors
    /// As [`TcpListener::bind`] and [`Async::new`]. Of kind `InvalidInput` for a host's name: it
    /// would have to be looked up.
    ///
    /// # Panics
    /// As [`Async::new`].
    #[track_caller]
    pub fn bind(address: impl ToAddresses) -> io::Result<Self> {
        listen(address).bind()
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// As getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.instead(|world, socket| world.local_addr(socket))
            .unwrap_or_else(|| self.io().local_addr())
    }

    /// Accepts a connection; returns it and the peer's address.
    ///
    /// # Errors
    /// As accept(2). When the process is out of descriptors (`EMFILE`) the listener stays
    /// readable and the error comes again at once: wait a moment before the next call, or use
    /// [`incoming`](Self::incoming), which does.
    ///
    /// # Cancel safety
    /// May be dropped at any time: no accepted connection is lost.
    pub async fn accept(&self) -> io::Result<(Async<TcpStream>, SocketAddr)> {
        let (stream, peer) = self.operation(Direction::Read, || self.accept_now()).await?;
        Ok((self.accepted(stream)?, peer))
    }

    /// As [`accept`](Self::accept), for hand-written futures.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Async<TcpStream>, SocketAddr)>> {
        self.poll_operation(Direction::Read, cx, || self.accept_now()).map(|accepted| {
            let (stream, peer) = accepted?;
            Ok((self.accepted(stream)?, peer))
        })
    }

    pub(super) fn accept_now(&self) -> io::Result<(TcpStream, SocketAddr)> {
        accept_now(self.reactor().world(), self.io())
    }

    /// In the listener's runtime, whether or not that is the current one.
    fn accepted(&self, stream: TcpStream) -> io::Result<Async<TcpStream>> {
        Ok(Async::fresh(stream, self.kind_of_accepted(), Rc::clone(self.reactor()))?)
    }

    /// Accepts one connection after the other, and rests when the process is out of descriptors.
    pub fn incoming(&self) -> Incoming<'_, (Async<TcpStream>, SocketAddr)> {
        Incoming::new(self.reactor(), Box::new(|cx| self.poll_accept(cx)))
    }
}

/// Accepts in `world`, or else in the system.
pub(super) fn accept_now(
    world: Option<&dyn World>,
    listener: &TcpListener,
) -> io::Result<(TcpStream, SocketAddr)> {
    world.and_then(|world| world.accept_tcp(listener.as_fd())).unwrap_or_else(|| accept(listener))
}

/// One accept(2), of a socket that is non-blocking and close-on-exec.
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    #[cfg(target_os = "linux")]
    {
        use rustix::net::{SocketFlags, acceptfrom_with};
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (stream, peer) = acceptfrom_with(listener, flags)?;
        let peer = peer.ok_or(io::ErrorKind::InvalidData)?.try_into()?;
        Ok((stream.into(), peer))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let (stream, peer) = listener.accept()?;
        stream.set_nonblocking(true)?;
        Ok((stream, peer))
    }
}

impl Async<TcpStream> {
    /// Copies what is there into `buf` without taking it; returns how many bytes.
    ///
    /// # Errors
    /// As recv(2) with `MSG_PEEK`.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.operation(Direction::Read, || peek(self.descriptor(), buf)).await
    }

    /// The address of this end.
    ///
    /// # Errors
    /// As getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.instead(|world, socket| world.local_addr(socket))
            .unwrap_or_else(|| self.io().local_addr())
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// As getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.instead(|world, socket| world.peer_addr(socket))
            .unwrap_or_else(|| self.io().peer_addr())
    }

    /// Shuts a side of the connection, or both, down.
    ///
    /// # Errors
    /// As shutdown(2).
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io().shutdown(how)
    }

    /// True if small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// As getsockopt(2).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.instead(|world, stream| world.nodelay(stream))
            .unwrap_or_else(|| SockRef::from(&self.descriptor()).tcp_nodelay())
    }

    /// Sends small writes at once, or gathers them (Nagle's algorithm, the system's default).
    ///
    /// # Errors
    /// As setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.instead(|world, stream| world.set_nodelay(stream, nodelay))
            .unwrap_or_else(|| SockRef::from(&self.descriptor()).set_tcp_nodelay(nodelay))
    }
}

pub(super) fn peek(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    let (len, _) = recv(socket, buf, RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
    Ok(len)
}

/// A listener that was made elsewhere; made non-blocking here.
impl TryFrom<TcpListener> for Async<TcpListener> {
    type Error = io::Error;

    #[track_caller]
    fn try_from(listener: TcpListener) -> io::Result<Self> {
        Ok(Self::new(listener)?)
    }
}

/// A stream that was made elsewhere; made non-blocking here.
impl TryFrom<TcpStream> for Async<TcpStream> {
    type Error = io::Error;

    #[track_caller]
    fn try_from(stream: TcpStream) -> io::Result<Self> {
        Ok(Self::new(stream)?)
    }
}
