//! Layer 5: TCP.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::task::{Context, Poll};

use rustix::net::{RecvFlags, recv};
use socket2::{Domain, SockAddr, SockRef};

use super::connect::{connect, stream_socket};
use super::incoming::Incoming;
use crate::executor::current;
use crate::io::Async;
use crate::reactor::{Direction, Kind};
use crate::sys::BorrowedFd;

/// Connections that may wait to be accepted, if the system allows as many: Linux's default
/// `somaxconn`. Those that come beyond it are dropped, and try again after a second.
const BACKLOG: i32 = 4096;

impl Async<TcpListener> {
    /// Listens on `address`; port 0 lets the system choose one, which
    /// [`local_addr`](Self::local_addr) tells.
    ///
    /// As [`TcpListener::bind`] does, it takes an address that an earlier listener has just left
    /// (`SO_REUSEADDR`); but more connections than 128 may come at once.
    ///
    /// # Errors
    /// As [`TcpListener::bind`] and [`Async::new`].
    ///
    /// # Panics
    /// As [`Async::new`].
    #[track_caller]
    pub fn bind(address: impl Into<SocketAddr>) -> io::Result<Self> {
        let address = address.into();
        let socket = stream_socket(Domain::for_address(address))?;
        socket.set_reuse_address(true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        let reactor = Rc::clone(&current::expect().reactor);
        Ok(Self::fresh(socket.into(), Some(Kind::Tcp), reactor)?)
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// As getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io().local_addr()
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
        let (stream, peer) = self.operation(Direction::Read, || accept(self.io())).await?;
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
        self.poll_operation(Direction::Read, cx, || accept(self.io())).map(|accepted| {
            let (stream, peer) = accepted?;
            Ok((self.accepted(stream)?, peer))
        })
    }

    /// In the listener's runtime, whether or not that is the current one, and of its kind.
    fn accepted(&self, stream: TcpStream) -> io::Result<Async<TcpStream>> {
        Ok(Async::fresh(stream, Some(self.kind()), Rc::clone(self.reactor()))?)
    }

    /// Accepts one connection after the other, and rests when the process is out of descriptors.
    pub fn incoming(&self) -> Incoming<'_, (Async<TcpStream>, SocketAddr)> {
        Incoming::new(self.reactor(), Box::new(|cx| self.poll_accept(cx)))
    }
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
    /// Connects to `address`.
    ///
    /// # Errors
    /// As connect(2), that of a connect in progress (`SO_ERROR`) included.
    ///
    /// # Panics
    /// As [`Async::new`].
    ///
    /// # Cancel safety
    /// May be dropped at any time: the socket is closed.
    pub async fn connect(address: impl Into<SocketAddr>) -> io::Result<Self> {
        let address = address.into();
        connect(Domain::for_address(address), Kind::Tcp, &SockAddr::from(address)).await
    }

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
        self.io().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// As getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io().peer_addr()
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
        SockRef::from(&self.descriptor()).tcp_nodelay()
    }

    /// Sends small writes at once, or gathers them (Nagle's algorithm, the system's default).
    ///
    /// # Errors
    /// As setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        SockRef::from(&self.descriptor()).set_tcp_nodelay(nodelay)
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
