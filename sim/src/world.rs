//! What a host's programs see instead of the system: the simulation as a [`World`], and as the back
//! end of their selectors.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use selkie::selector::{Backend, BackendKind, Wrapped};
use selkie::world::{Instead, Jobs, Taking, Whose, World};

use crate::backend::Simulated;
use crate::host::HostShared;
use crate::shared::Shared;
use crate::socket::{Inode, foreign};
use crate::state::{Index, Known, State};
use crate::tcp::{Outcome, Phase, Side};

/// The world of one host.
#[derive(Clone)]
pub(crate) struct HostWorld {
    pub(crate) shared: Arc<Shared>,
    pub(crate) host: Index,
    pub(crate) own: Arc<HostShared>,
    pub(crate) form: Form,
}

/// How a host is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// On a thread of its own: a wait hands the baton on.
    Threaded,
    /// By turns, on the driver's thread.
    Stepped,
}

impl HostWorld {
    pub(crate) fn new(
        shared: Arc<Shared>,
        host: Index,
        own: Arc<HostShared>,
        form: Form,
    ) -> Rc<Self> {
        Rc::new(Self { shared, host, own, form })
    }

    /// What the simulation knows of a descriptor.
    fn known(&self, state: &State, fd: BorrowedFd<'_>) -> Option<Known> {
        let (owner, known) = *state.known.get(&Inode::of(fd).ok()?)?;
        (owner == self.host).then_some(known)
    }

    fn with<R>(
        &self,
        fd: BorrowedFd<'_>,
        f: impl FnOnce(&mut State, Known) -> Option<R>,
    ) -> Option<R> {
        let mut state = self.shared.lock();
        let known = self.known(&state, fd)?;
        f(&mut state, known)
    }
}

impl World for HostWorld {
    fn now(&self) -> Instant {
        self.shared.now_on(&self.own)
    }

    fn open(&self, kind: BackendKind) -> io::Result<Box<dyn Backend + Send>> {
        let (inner, wrapper) = (kind.open_system()?, Simulated::new(self.clone()));
        Ok(Box::new(Wrapped { inner, wrapper }))
    }

    fn listen_tcp(&self, address: SocketAddr, backlog: u32) -> Instead<TcpListener> {
        Some(self.shared.lock().listen(self.host, address, backlog))
    }

    fn accept_tcp(&self, listener: BorrowedFd<'_>) -> Instead<(TcpStream, SocketAddr)> {
        self.with(listener, |state, known| match known {
            Known::Listener(id) => Some(state.accept(self.host, id)),
            Known::UnixListener { .. } | Known::UnixStream { .. } => None,
            Known::Stream { .. } | Known::Udp(_) => Some(Err(Errno::INVAL.into())),
        })
    }

    fn connect_tcp(&self, address: SocketAddr) -> Instead<TcpStream> {
        Some(self.shared.lock().connect(self.host, address))
    }

    fn finish_connect(&self, stream: BorrowedFd<'_>) -> Instead<()> {
        self.with(stream, |state, known| {
            let Known::Stream { connection, .. } = known else { return None };
            Some(match state.connections.get(&connection).map(|connection| connection.phase) {
                Some(Phase::Connecting) => Err(Errno::NOTCONN.into()),
                Some(Phase::Ended(Outcome::Failed(error))) => Err(error.into()),
                Some(Phase::Ended(Outcome::Connected)) => Ok(()),
                None => Err(Errno::CONNRESET.into()),
            })
        })
    }

    fn local_addr(&self, socket: BorrowedFd<'_>) -> Instead<SocketAddr> {
        self.with(socket, |state, known| {
            Some(Ok(match known {
                Known::Stream { local, .. } => local,
                Known::Listener(id) => state.listeners.get(&id)?.address,
                Known::Udp(id) => state.datagrams.address(id)?,
                Known::UnixListener { .. } | Known::UnixStream { .. } => return None,
            }))
        })
    }

    fn peer_addr(&self, socket: BorrowedFd<'_>) -> Instead<SocketAddr> {
        self.with(socket, |state, known| match known {
            Known::Stream { connection, side, .. } => {
                let connection = state.connections.get(&connection);
                Some(match connection {
                    // Who has accepted is connected, though the client may not know it yet.
                    Some(c)
                        if side == Side::Server || c.phase == Phase::Ended(Outcome::Connected) =>
                    {
                        Ok(c.address(side.other()))
                    }
                    _ => Err(Errno::NOTCONN.into()),
                })
            }
            Known::Listener(_) => Some(Err(Errno::NOTCONN.into())),
            Known::Udp(id) => state.datagrams.peer(id).map(Ok),
            Known::UnixListener { .. } | Known::UnixStream { .. } => None,
        })
    }

    fn nodelay(&self, stream: BorrowedFd<'_>) -> Instead<bool> {
        self.with(stream, |state, known| {
            let Known::Stream { connection, side, .. } = known else { return None };
            Some(Ok(state.connections.get(&connection).is_some_and(|c| c.nodelay(side))))
        })
    }

    fn set_nodelay(&self, stream: BorrowedFd<'_>, nodelay: bool) -> Instead<()> {
        self.with(stream, |state, known| {
            let Known::Stream { connection, side, .. } = known else { return None };
            if let Some(connection) = state.connections.get_mut(&connection) {
                connection.end(side).nodelay = nodelay;
            }
            Some(Ok(()))
        })
    }

    fn bind_udp(&self, address: SocketAddr) -> Instead<UdpSocket> {
        Some(self.shared.lock().bind_udp(self.host, address))
    }

    fn connect_udp(&self, socket: BorrowedFd<'_>, peer: SocketAddr) -> Instead<()> {
        self.with(socket, |state, known| {
            let Known::Udp(id) = known else { return None };
            Some(state.connect_udp(id, peer))
        })
    }

    fn send_udp(
        &self,
        socket: BorrowedFd<'_>,
        datagram: &[u8],
        target: Option<SocketAddr>,
    ) -> Instead<usize> {
        self.with(socket, |state, known| {
            let Known::Udp(id) = known else { return None };
            Some(state.send_datagram(id, datagram, target))
        })
    }

    fn receive_udp(
        &self,
        socket: BorrowedFd<'_>,
        buf: &mut [u8],
        taking: Taking,
    ) -> Instead<(usize, SocketAddr)> {
        self.with(socket, |state, known| {
            let Known::Udp(id) = known else { return None };
            Some(state.receive_datagram(id, buf, taking))
        })
    }

    fn listen_unix(&self, path: &Path) -> Instead<UnixListener> {
        Some(self.shared.lock().listen_unix(self.host, path))
    }

    fn accept_unix(&self, listener: BorrowedFd<'_>) -> Instead<(UnixStream, UnixAddress)> {
        self.with(listener, |state, known| {
            let Known::UnixListener { id, .. } = known else { return None };
            Some(state.accept_unix(self.host, id))
        })
    }

    fn connect_unix(&self, path: &Path) -> Instead<UnixStream> {
        let mut state = self.shared.lock();
        state.has_path(self.host, path).then(|| state.connect_unix(self.host, path))
    }

    fn unix_addr(&self, socket: BorrowedFd<'_>, whose: Whose) -> Instead<UnixAddress> {
        self.with(socket, |state, known| state.unix_addr(known, whose))
    }

    fn jobs(&self) -> Jobs {
        Jobs::AtOnce
    }

    fn resolve(&self, name: &str, port: u16) -> Instead<Vec<SocketAddr>> {
        let state = self.shared.lock();
        let ip = if name == "localhost" {
            Some(std::net::Ipv4Addr::LOCALHOST.into())
        } else {
            state.names.get(name).copied()
        };
        Some(ip.map(|ip| vec![SocketAddr::new(ip, port)]).ok_or_else(|| {
            let text = format!("no simulated host is called {name:?}; add one with Sim::host");
            io::Error::new(io::ErrorKind::NotFound, text)
        }))
    }
}

impl HostWorld {
    /// What is watched for a descriptor, where that is not the descriptor itself.
    ///
    /// # Errors
    /// If it belongs to the real world.
    pub(crate) fn to_watch(&self, fd: BorrowedFd<'_>) -> io::Result<Option<(OwnedFd, Known)>> {
        let state = self.shared.lock();
        if let Some(known) = self.known(&state, fd) {
            let bell = state.bell_of(known).transpose()?;
            return Ok(bell.map(|bell| (bell, known)));
        }
        let name = &state.hosts[self.host].name;
        let owner = Inode::of(fd).ok().and_then(|inode| state.known.get(&inode)).map(|it| it.0);
        if let Some(owner) = owner {
            let owner = &state.hosts[owner].name;
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{fd:?} is a socket of the simulated host {owner}, and no machine has another \
                     one's descriptors; connect to it from {name}"
                ),
            ));
        }
        match foreign(fd.as_fd()) {
            None => Ok(None),
            Some(crate::socket::Foreign::Network(_)) if state.allows_network => Ok(None),
            Some(crate::socket::Foreign::Network(address)) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{fd:?} is a socket of the real network ({address}), inside the simulated \
                     host {name}; open it by selkie (Async::connect, Async::bind, \
                     net::nonblocking), or use it outside of the simulation"
                ),
            )),
            Some(crate::socket::Foreign::Timer) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!(
                    "{fd:?} is a timerfd(2), which counts real time, and time is virtual on the \
                     simulated host {name}; leave out Builder::timer_fd, and ask \
                     Runtime::next_deadline"
                ),
            )),
        }
    }
}
