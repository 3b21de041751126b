//! Layer 6: Unix domain sockets.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrUnix, recv, send, sendto};
use socket2::{Domain, SockAddr};

use super::connect::{begin, stream_socket};
use super::incoming::Incoming;
use super::tcp::peek;
use crate::executor::current;
use crate::io::{Async, NO_SIGNAL};
use crate::reactor::{Direction, Kind};
use crate::selector::world::Whose;
use crate::time::Sleep;

/// How long a datagram waits that a receiver had no room for. A thousand tries a second cost less
/// than 1 % of the processor.
const PAUSE: Duration = Duration::from_millis(1);

impl Async<UnixListener> {
    /// Listens on a path, which must not exist yet, and stays there when the listener is gone.
    ///
    /// # Errors
    /// As [`UnixListener::bind`] and [`Async::new`].
    ///
    /// # Panics
    /// As [`Async::new`].
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let reactor = &current::expect().reactor;
        let listener = reactor.world().and_then(|world| world.listen_unix(path.as_ref()));
        Ok(Self::new(listener.unwrap_or_else(|| UnixListener::bind(path))?)?)
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// As getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.instead(|world, socket| world.unix_addr(socket, Whose::Own))
            .unwrap_or_else(|| self.io().local_addr())
    }

    /// Accepts a connection; returns it and the peer's address, which mostly has no name.
    ///
    /// # Errors
    /// As accept(2); for `EMFILE` see `Async<TcpListener>`'s `accept`.
    ///
    /// # Cancel safety
    /// May be dropped at any time: no accepted connection is lost.
    pub async fn accept(&self) -> io::Result<(Async<UnixStream>, SocketAddr)> {
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
    ) -> Poll<io::Result<(Async<UnixStream>, SocketAddr)>> {
        self.poll_operation(Direction::Read, cx, || self.accept_now()).map(|accepted| {
            let (stream, peer) = accepted?;
            Ok((self.accepted(stream)?, peer))
        })
    }

    /// Accepts in the runtime's world, or else in the system.
    fn accept_now(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.instead(|world, listener| world.accept_unix(listener))
            .unwrap_or_else(|| accept(self.io()))
    }

    /// In the listener's runtime, whether or not that is the current one, and of its kind, which
    /// need not be that of a stream.
    fn accepted(&self, stream: UnixStream) -> io::Result<Async<UnixStream>> {
        Ok(Async::fresh(stream, self.kind_of_accepted(), Rc::clone(self.reactor()))?)
    }

    /// Accepts one connection after the other, and rests when the process is out of descriptors.
    pub fn incoming(&self) -> Incoming<'_, (Async<UnixStream>, SocketAddr)> {
        Incoming::new(self.reactor(), Box::new(|cx| self.poll_accept(cx)))
    }
}

/// One accept(2), of a socket that is non-blocking and close-on-exec.
pub(super) fn accept(listener: &UnixListener) -> io::Result<(UnixStream, SocketAddr)> {
    #[cfg(target_os = "linux")]
    {
        use rustix::net::{SocketFlags, acceptfrom_with};
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (stream, peer) = acceptfrom_with(listener, flags)?;
        let stream = UnixStream::from(stream);
        let peer = peer_address(&stream, peer.as_ref())?;
        Ok((stream, peer))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let (stream, peer) = listener.accept()?;
        stream.set_nonblocking(true)?;
        Ok((stream, peer))
    }
}

/// The standard library's form of a peer's address.
///
/// Few peers have a name. For those the system is asked again: the peer chooses it, with a length
/// that only the standard library can take in all cases.
#[cfg(target_os = "linux")]
fn peer_address(
    stream: &UnixStream,
    accepted: Option<&rustix::net::SocketAddrAny>,
) -> io::Result<SocketAddr> {
    /// That of a `sockaddr_un` with the family alone.
    const UNNAMED_LEN: usize = size_of::<u16>();

    if accepted.is_some_and(|address| address.addr_len() as usize > UNNAMED_LEN) {
        stream.peer_addr()
    } else {
        SocketAddr::from_pathname("")
    }
}

impl Async<UnixStream> {
    /// Connects to the listener at `path`.
    ///
    /// # Errors
    /// As connect(2). A listener whose queue is full refuses with `WouldBlock` (`EAGAIN`): try
    /// again later.
    ///
    /// # Panics
    /// As [`Async::new`].
    ///
    /// # Cancel safety
    /// May be dropped at any time: the socket is closed.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let reactor = &current::expect().reactor;
        if let Some(stream) = reactor.world().and_then(|world| world.connect_unix(path.as_ref())) {
            return Ok(Self::fresh(stream?, None, Rc::clone(reactor))?);
        }
        let socket = stream_socket(Domain::UNIX)?;
        let begun = begin(socket, Some(Kind::UnixStream), &SockAddr::unix(path)?)?;
        begun.end().await
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    /// As socketpair(2) and [`Async::new`].
    ///
    /// # Panics
    /// As [`Async::new`].
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Self::new(one)?, Self::new(other)?))
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
        self.instead(|world, socket| world.unix_addr(socket, Whose::Own))
            .unwrap_or_else(|| self.io().local_addr())
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// As getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.instead(|world, socket| world.unix_addr(socket, Whose::Peers))
            .unwrap_or_else(|| self.io().peer_addr())
    }

    /// Shuts a side of the connection, or both, down.
    ///
    /// # Errors
    /// As shutdown(2).
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io().shutdown(how)
    }
}

impl Async<UnixDatagram> {
    /// A socket bound to a path, which must not exist yet, and stays there.
    ///
    /// # Errors
    /// As [`UnixDatagram::bind`] and [`Async::new`].
    ///
    /// # Panics
    /// As [`Async::new`].
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::new(UnixDatagram::bind(path)?)?)
    }

    /// A socket without a name, which can only send.
    ///
    /// # Errors
    /// As socket(2) and [`Async::new`].
    ///
    /// # Panics
    /// As [`Async::new`].
    #[track_caller]
    pub fn unbound() -> io::Result<Self> {
        Ok(Self::new(UnixDatagram::unbound()?)?)
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    /// As socketpair(2) and [`Async::new`].
    ///
    /// # Panics
    /// As [`Async::new`].
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixDatagram::pair()?;
        Ok((Self::new(one)?, Self::new(other)?))
    }

    /// Receives a datagram; returns its length, cut to that of `buf`, and its sender.
    ///
    /// # Errors
    /// As recvfrom(2).
    ///
    /// # Cancel safety
    /// May be dropped at any time: no datagram is lost.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        // By std, whose address takes in every name that a sender may have.
        self.operation(Direction::Read, || self.io().recv_from(buf)).await
    }

    /// Sends a datagram to the socket at `path`.
    ///
    /// While that one's queue is full, the datagram is tried again every millisecond: the system
    /// does not tell when there is room. It does tell [`send`](Self::send), on a socket that is
    /// connected (`get_ref().connect(…)`).
    ///
    /// # Errors
    /// As sendto(2).
    ///
    /// # Cancel safety
    /// May be dropped at any time: the datagram is then not sent.
    pub async fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let receiver = SocketAddrUnix::new(path.as_ref())?;
        let flags = SendFlags::DONTWAIT | NO_SIGNAL;
        loop {
            // Not to wait for: the socket itself is writable all the time.
            let sent = self.operation(Direction::Write, || {
                match sendto(self.descriptor(), buf, flags, &receiver) {
                    Err(Errno::AGAIN) => Ok(None),
                    result => Ok(Some(result?)),
                }
            });
            if let Some(len) = sent.await? {
                return Ok(len);
            }
            Sleep::after_on(self.reactor(), PAUSE).await?;
        }
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// As getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io().local_addr()
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    /// As getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io().peer_addr()
    }

    /// Receives a datagram; returns its length, cut to that of `buf`.
    ///
    /// # Errors
    /// As recv(2).
    ///
    /// # Cancel safety
    /// May be dropped at any time: no datagram is lost.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.operation(Direction::Read, || {
            Ok(recv(self.descriptor(), &mut *buf, RecvFlags::DONTWAIT)?.0)
        })
        .await
    }

    /// Sends a datagram to the peer that the socket is connected to.
    ///
    /// # Errors
    /// As send(2).
    ///
    /// # Cancel safety
    /// May be dropped at any time: the datagram is then not sent.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | NO_SIGNAL;
        self.operation(Direction::Write, || Ok(send(self.descriptor(), buf, flags)?)).await
    }
}

/// A listener that was made elsewhere; made non-blocking here.
impl TryFrom<UnixListener> for Async<UnixListener> {
    type Error = io::Error;

    #[track_caller]
    fn try_from(listener: UnixListener) -> io::Result<Self> {
        Ok(Self::new(listener)?)
    }
}

/// A stream that was made elsewhere; made non-blocking here.
impl TryFrom<UnixStream> for Async<UnixStream> {
    type Error = io::Error;

    #[track_caller]
    fn try_from(stream: UnixStream) -> io::Result<Self> {
        Ok(Self::new(stream)?)
    }
}

/// A socket that was made elsewhere; made non-blocking here.
impl TryFrom<UnixDatagram> for Async<UnixDatagram> {
    type Error = io::Error;

    #[track_caller]
    fn try_from(socket: UnixDatagram) -> io::Result<Self> {
        Ok(Self::new(socket)?)
    }
}
