//! Layer 1: what stands for the system on a thread: its clock, its back ends, its sockets.
//! Limits: a hook for what a simulation has to replace, and for nothing else.
//! Invariant: asked where something is opened or accepted, never on the way of a stream's bytes.

mod installed;
mod open;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::Path;
use std::time::Instant;

pub use self::installed::{Installed, install};
pub(crate) use self::installed::{current, present};
use super::backend::{Backend, BackendKind, system_now};
use crate::sys::{BorrowedFd, OwnedFd};

/// What a [`World`] does instead of the system; `None`: the system is to do it.
pub type Instead<T> = Option<io::Result<T>>;

/// What a runtime or a selector lives in, instead of the system: another clock, another network.
///
/// Every method is provided, and leaves the matter to the system. A world for tests of time
/// overrides [`now`](Self::now) and [`open`](Self::open); a simulated network the others, too.
///
/// Sockets stay descriptors. What a program reads, writes and shuts down is the kernel's: a world
/// that makes connections hands out one end of a socket pair, and has the other one itself. A
/// listener and a UDP socket may be a descriptor that only answers for the address, while another
/// one, [`watched`](Self::watched), is ready when there is something to accept or to receive.
///
/// The descriptors that the methods get are open, and may be any: of this world, or not.
pub trait World {
    /// The time, outside a runtime. Inside, the runtime's back end tells it
    /// ([`Backend::now`]), and must agree.
    fn now(&self) -> Instant {
        system_now()
    }

    /// Opens a back end: for every [`BackendKind::open`] on a thread where this world is
    /// installed. Here, [`BackendKind::open_system`] opens the real one.
    ///
    /// # Errors
    /// As the system's, when it has no descriptor or memory to spare.
    fn open(&self, kind: BackendKind) -> io::Result<Box<dyn Backend + Send>> {
        kind.open_system()
    }

    /// What is to be watched for readiness in place of `fd`, if that is something else.
    fn watched(&self, fd: BorrowedFd<'_>) -> Instead<OwnedFd> {
        let _ = fd;
        None
    }

    /// Listens for TCP connections; port 0 chooses one. `backlog` as for listen(2).
    fn listen_tcp(&self, address: SocketAddr, backlog: u32) -> Instead<TcpListener> {
        let _ = (address, backlog);
        None
    }

    /// Accepts a TCP connection, or fails with `WouldBlock`. The stream is non-blocking.
    fn accept_tcp(&self, listener: BorrowedFd<'_>) -> Instead<(TcpStream, SocketAddr)> {
        let _ = listener;
        None
    }

    /// Begins to connect by TCP, and returns at once. The stream is non-blocking; it becomes
    /// writable when it is connected, or has failed to be: [`finish_connect`](Self::finish_connect)
    /// tells which.
    fn connect_tcp(&self, address: SocketAddr) -> Instead<TcpStream> {
        let _ = address;
        None
    }

    /// What became of a connect, once the stream is writable: `SO_ERROR`, which is told once.
    fn finish_connect(&self, stream: BorrowedFd<'_>) -> Instead<()> {
        let _ = stream;
        None
    }

    /// The socket's own address: getsockname(2).
    fn local_addr(&self, socket: BorrowedFd<'_>) -> Instead<SocketAddr> {
        let _ = socket;
        None
    }

    /// The address of the peer: getpeername(2).
    fn peer_addr(&self, socket: BorrowedFd<'_>) -> Instead<SocketAddr> {
        let _ = socket;
        None
    }

    /// Whether `TCP_NODELAY` is set.
    fn nodelay(&self, stream: BorrowedFd<'_>) -> Instead<bool> {
        let _ = stream;
        None
    }

    /// Sets `TCP_NODELAY`.
    fn set_nodelay(&self, stream: BorrowedFd<'_>, nodelay: bool) -> Instead<()> {
        let _ = (stream, nodelay);
        None
    }

    /// A UDP socket; port 0 chooses one.
    fn bind_udp(&self, address: SocketAddr) -> Instead<UdpSocket> {
        let _ = address;
        None
    }

    /// Connects a UDP socket to a peer.
    fn connect_udp(&self, socket: BorrowedFd<'_>, peer: SocketAddr) -> Instead<()> {
        let _ = (socket, peer);
        None
    }

    /// Sends a datagram: to `target`, or else to the peer that the socket is connected to.
    fn send_udp(
        &self,
        socket: BorrowedFd<'_>,
        datagram: &[u8],
        target: Option<SocketAddr>,
    ) -> Instead<usize> {
        let _ = (socket, datagram, target);
        None
    }

    /// Receives a datagram, cut to the length of `buf`, or fails with `WouldBlock`.
    fn receive_udp(
        &self,
        socket: BorrowedFd<'_>,
        buf: &mut [u8],
        taking: Taking,
    ) -> Instead<(usize, SocketAddr)> {
        let _ = (socket, buf, taking);
        None
    }

    /// Listens for connections of Unix sockets at a path.
    ///
    /// Of those, there is no connecting: what a world hands out may be a socket pair of the kernel.
    fn listen_unix(&self, path: &Path) -> Instead<UnixListener> {
        let _ = path;
        None
    }

    /// Accepts a Unix connection, or fails with `WouldBlock`. The stream is non-blocking.
    fn accept_unix(&self, listener: BorrowedFd<'_>) -> Instead<(UnixStream, UnixAddress)> {
        let _ = listener;
        None
    }

    /// Connects to the listener at a path, at once. The stream is non-blocking.
    fn connect_unix(&self, path: &Path) -> Instead<UnixStream> {
        let _ = path;
        None
    }

    /// The address of a Unix socket, or of its peer.
    fn unix_addr(&self, socket: BorrowedFd<'_>, whose: Whose) -> Instead<UnixAddress> {
        let _ = (socket, whose);
        None
    }

    /// Where the jobs of `unblock` run (feature `unblock`).
    ///
    /// A world whose clock is not the system's does not wait for threads: it says
    /// [`Jobs::AtOnce`].
    fn jobs(&self) -> Jobs {
        Jobs::OnThreads
    }

    /// The addresses of a host by its name; the first one is preferred. At once: a world has no
    /// name server to wait for.
    fn resolve(&self, name: &str, port: u16) -> Instead<Vec<SocketAddr>> {
        let _ = (name, port);
        None
    }
}

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// That of the socket itself.
    Own,
    /// The other one.
    Peers,
}

/// Where work runs that blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    /// On the threads of the runtime's pool, while the loop goes on.
    OnThreads,
    /// On the thread of the runtime, within the call that asks for it; the loop waits.
    AtOnce,
}

/// What becomes of a datagram that is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// It is gone from the queue.
    Takes,
    /// It stays, for the next one to receive: `MSG_PEEK`.
    Leaves,
}
