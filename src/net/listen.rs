//! Layer 6: how a TCP listener is to be.
//! Invariant: options are set before the socket is bound, so that no connection comes without them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;

use socket2::{Domain, SockAddr, Socket, TcpKeepalive};

use super::address::ToAddresses;
use super::connect::stream_socket;
use crate::executor::current;
use crate::io::Async;
use crate::reactor::Kind;
use crate::selector::world::World;

/// Connections that may wait to be accepted, if the system allows as many: Linux's default
/// `somaxconn`. Those that come beyond it are dropped, and try again after a second.
const BACKLOG: u32 = 4096;

/// Listens on an IP address for TCP connections, with options.
///
/// ```
/// # selkie::block_on(async {
/// let listener = selkie::net::listen("127.0.0.1:0").backlog(128).nodelay(true).bind()?;
/// println!("listening on {}", listener.local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Without options it is the same as [`Async::<TcpListener>::bind`](Async::bind).
pub fn listen<A: ToAddresses>(address: A) -> Listen<A> {
    let options = Options {
        reuse_address: true,
        reuse_port: false,
        backlog: BACKLOG,
        nodelay: false,
        keepalive: None,
    };
    Listen { address, options }
}

/// A listener that is yet to be bound; from [`listen`].
#[derive(Clone, Debug)]
#[must_use = "nobody listens before `bind`"]
pub struct Listen<A> {
    address: A,
    pub(super) options: Options,
}

#[derive(Clone, Debug)]
pub(super) struct Options {
    reuse_address: bool,
    reuse_port: bool,
    backlog: u32,
    nodelay: bool,
    pub(super) keepalive: Option<TcpKeepalive>,
}

impl<A> Listen<A> {
    /// Whether to take an address that an earlier listener has just left, while some of its
    /// connections are still in `TIME_WAIT` (`SO_REUSEADDR`). Usually so, as for
    /// [`TcpListener::bind`].
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.options.reuse_address = reuse;
        self
    }

    /// Whether several listeners, of the same user, may have the same address at once; each with
    /// this option (`SO_REUSEPORT`). Linux spreads the connections over them: one listener for each
    /// thread, or each process, needs nobody who hands connections out. Usually not. Solaris and
    /// illumos have no such option: there, [`bind`](Self::bind) is `Unsupported` then.
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.options.reuse_port = reuse;
        self
    }

    /// How many connections may wait to be accepted. The system has a limit of its own
    /// (`net.core.somaxconn`, on Linux 4096) and takes the lower one. Usually 4096.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.options.backlog = connections;
        self
    }

    /// Whether connections that are accepted send small writes at once (`TCP_NODELAY`). Usually
    /// not, as everywhere. They inherit it from the listener: it costs no system call for each.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.options.nodelay = nodelay;
        self
    }
}

impl<A: ToAddresses> Listen<A> {
    /// Listens.
    ///
    /// Of several addresses it takes the first that it can have. Port 0 lets the system choose one,
    /// which `local_addr()` tells.
    ///
    /// # Errors
    /// As socket(2), setsockopt(2), bind(2) and listen(2), for the last of several addresses; as
    /// [`ToAddresses`] and [`Async::new`]. Of kind `InvalidInput` for a host's name: it would have
    /// to be looked up.
    ///
    /// # Panics
    /// As [`Async::new`].
    #[track_caller]
    pub fn bind(self) -> io::Result<Async<TcpListener>> {
        let reactor = Rc::clone(&current::expect().reactor);
        let listener = self.open(reactor.world())?;
        let kind = reactor.world().is_none().then_some(Kind::Tcp);
        Ok(Async::fresh(listener, kind, reactor)?)
    }

    /// Listens in `world`, or else in the system.
    pub(super) fn open(&self, world: Option<&dyn World>) -> io::Result<TcpListener> {
        self.address.to_addresses()?.first(|address| {
            let listener = world.and_then(|world| world.listen_tcp(address, self.options.backlog));
            listener.unwrap_or_else(|| Ok(self.options.open(address)?.into()))
        })
    }
}

impl Options {
    fn open(&self, address: SocketAddr) -> io::Result<Socket> {
        let socket = stream_socket(Domain::for_address(address))?;
        if self.reuse_address {
            socket.set_reuse_address(true)?;
        }
        if self.reuse_port {
            reuse_port(&socket)?;
        }
        if self.nodelay {
            socket.set_tcp_nodelay(true)?;
        }
        if let Some(keepalive) = &self.keepalive {
            socket.set_tcp_keepalive(keepalive)?;
        }
        socket.bind(&SockAddr::from(address))?;
        socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Ok(socket)
    }
}

#[cfg(not(any(target_os = "solaris", target_os = "illumos")))]
fn reuse_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(any(target_os = "solaris", target_os = "illumos"))]
fn reuse_port(_: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
