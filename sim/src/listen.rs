//! TCP: who listens, and who waits to be accepted.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use socket2::Type;

use crate::host::BOUND_PORTS;
use crate::socket::{Bell, Handed};
use crate::state::{Index, Known, State, number_of};
use crate::tcp::Side;
use crate::trace::Act;

pub(crate) struct Listener {
    pub(crate) host: Index,
    pub(crate) address: SocketAddr,
    backlog: usize,
    queue: VecDeque<(OwnedFd, SocketAddr, u64)>,
    bell: Bell,
    handed: Handed,
    /// Selectors that it is registered with: while there is one, nobody closes it.
    pub(crate) watchers: u32,
}

impl Listener {
    /// True if nobody else may wait to be accepted.
    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() > self.backlog
    }

    /// Has somebody wait to be accepted.
    pub(crate) fn push(&mut self, outer: OwnedFd, peer: SocketAddr, connection: u64) {
        self.queue.push_back((outer, peer, connection));
        self.bell.ring();
    }
}

impl State {
    /// Listens on an address.
    pub(crate) fn listen(
        &mut self,
        host: Index,
        address: SocketAddr,
        backlog: u32,
    ) -> io::Result<TcpListener> {
        self.has_network(host)?;
        self.look_for_closed_sockets(host);
        let address = self.local_address(host, address, |state, address| {
            let mut others = state.listeners.values().filter(|other| other.host == host);
            others.any(|other| collide(other.address, address))
        })?;
        let made = self.census.stand_in(Type::STREAM, address);
        let (listener, handed) = self.needed(made)?;
        let bell = self.needed(Bell::new())?;
        self.last_connection += 1;
        let id = self.last_connection;
        let queue = VecDeque::new();
        let backlog = backlog as usize;
        let listening = Listener { host, address, backlog, queue, bell, handed, watchers: 0 };
        self.listeners.insert(id, listening);
        self.know(host, handed.inode, Known::Listener(id));
        self.record(host, Act::Listens, [number_of(address)], || address.to_string());
        Ok(TcpListener::from(listener))
    }

    /// An address of the host, with a port, that nobody has yet.
    pub(crate) fn local_address(
        &mut self,
        host: Index,
        mut address: SocketAddr,
        is_taken: impl Fn(&Self, SocketAddr) -> bool,
    ) -> io::Result<SocketAddr> {
        let ip = address.ip();
        if self.host_at(host, ip) != Some(host) {
            let own = self.hosts[host].ip;
            return Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                format!("{ip} is no address of this simulated host, which has {own}; bind that"),
            ));
        }
        let is_any = address.port() == 0;
        for _ in 0..if is_any { BOUND_PORTS } else { 1 } {
            if is_any {
                address.set_port(self.hosts[host].next_bound_port());
            }
            if !is_taken(self, address) {
                return Ok(address);
            }
        }
        Err(Errno::ADDRINUSE.into())
    }

    pub(crate) fn listener_at(&mut self, host: Index, target: SocketAddr) -> Option<u64> {
        self.look_for_closed_sockets(host);
        let host_ip = self.hosts[host].ip;
        self.listeners
            .iter()
            .find(|(_, listener)| {
                listener.host == host && answers_to(listener.address, target, host_ip)
            })
            .map(|(id, _)| *id)
    }

    pub(crate) fn accept(&mut self, host: Index, id: u64) -> io::Result<(TcpStream, SocketAddr)> {
        let listener = self.listeners.get_mut(&id).ok_or(Errno::INVAL)?;
        if listener.queue.is_empty() {
            return Err(Errno::AGAIN.into());
        }
        if let Some(error) = self.hosts[host].accept_errors.pop_front() {
            return Err(error.into());
        }
        let listener = self.listeners.get_mut(&id).ok_or(Errno::INVAL)?;
        let (outer, peer, connection) = listener.queue.pop_front().ok_or(Errno::AGAIN)?;
        if listener.queue.is_empty() {
            listener.bell.silence();
        }
        self.record(host, Act::Accepts, [connection], || format!("#{connection} from {peer}"));
        Ok((TcpStream::from(outer), peer))
    }

    /// What is readable while somebody waits to be accepted.
    pub(crate) fn bell_of(&self, known: Known) -> Option<io::Result<OwnedFd>> {
        match known {
            Known::Listener(id) => Some(self.listeners.get(&id)?.bell.descriptor()),
            Known::Udp(id) => self.datagrams.bell(id),
            Known::UnixListener { id, .. } => self.unix.bell(id),
            Known::Stream { .. } | Known::UnixStream { .. } => None,
        }
    }

    /// Forgets listeners and UDP sockets that a host has closed, of those that are in no selector.
    pub(crate) fn look_for_closed_sockets(&mut self, host: Index) {
        let is_closed = |listener: &Listener| {
            listener.host == host && listener.watchers == 0 && !self.census.is_open(listener.handed)
        };
        let closed = self.listeners.iter().filter(|(_, listener)| is_closed(listener));
        let closed: Vec<u64> = closed.map(|(id, _)| *id).collect();
        closed.into_iter().for_each(|id| self.close_listener(id));
        for inode in self.datagrams.take_closed(host, &self.census) {
            self.known.remove(&inode);
        }
        self.look_for_closed_listeners(host);
    }

    /// Counts the selectors that a bound socket is registered with.
    pub(crate) fn is_watched(&mut self, known: Known, change: i32) {
        let watchers = match known {
            Known::Listener(id) => {
                self.listeners.get_mut(&id).map(|listener| &mut listener.watchers)
            }
            Known::Udp(id) => self.datagrams.watchers(id),
            Known::UnixListener { id, .. } => self.unix.watchers(id),
            Known::Stream { .. } | Known::UnixStream { .. } => None,
        };
        if let Some(watchers) = watchers {
            *watchers = watchers.saturating_add_signed(change);
        }
    }

    pub(crate) fn close_listener(&mut self, id: u64) {
        let Some(listener) = self.listeners.remove(&id) else { return };
        self.known.remove(&listener.handed.inode);
        for (outer, _, connection) in listener.queue {
            drop(outer);
            if !self.is_up(listener.host) {
                continue;
            }
            self.with_connection(connection, |state, connection| {
                state.send_reset(connection, Side::Server);
            });
        }
    }
}

/// True if both cannot be bound on one host.
pub(crate) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let is_under = |one: SocketAddr, other: SocketAddr| {
        one.ip().is_unspecified() && (one.is_ipv6() || other.is_ipv4())
    };
    one.port() == other.port()
        && (one.ip() == other.ip() || is_under(one, other) || is_under(other, one))
}

/// True if what is bound to `address` on the host of `ip` gets what is sent to `target`.
pub(crate) fn answers_to(address: SocketAddr, target: SocketAddr, ip: IpAddr) -> bool {
    let target_ip = if target.ip().is_unspecified() { ip } else { target.ip() };
    // One of IPv6 takes IPv4's, too, as Linux has it; not the other way round.
    let is_any = address.ip().is_unspecified() && (address.is_ipv6() || target.is_ipv4());
    address.port() == target.port()
        && (address.ip() == target_ip
            || is_any
            || (target.ip().is_unspecified() && address.ip().is_loopback()))
}
