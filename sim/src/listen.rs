//! TCP: who listens, and who waits to be accepted.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use socket2::Type;

use crate::socket::{self, Bell, Handed, Inode};
use crate::state::{Index, Known, State, number_of};
use crate::tcp::Side;
use crate::trace::Act;

pub(crate) struct Listener {
    pub(crate) host: Index,
    pub(crate) address: SocketAddr,
    backlog: usize,
    queue: VecDeque<(OwnedFd, SocketAddr, u64)>,
    bell: Bell,
    pub(crate) handed: Handed,
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
        let address = self.local_address(host, address)?;
        self.look_for_closed_sockets(host);
        let mut others = self.listeners.values().filter(|other| other.host == host);
        if others.any(|other| collide(other.address, address)) {
            return Err(Errno::ADDRINUSE.into());
        }
        let listener = socket::stand_in(Type::STREAM, address)?;
        let handed = Handed { fd: listener.as_raw_fd(), inode: Inode::of(&listener)? };
        let bell = Bell::new()?;
        self.last_connection += 1;
        let id = self.last_connection;
        let queue = VecDeque::new();
        let backlog = backlog as usize;
        self.listeners.insert(id, Listener { host, address, backlog, queue, bell, handed });
        self.know(host, handed.inode, Known::Listener(id));
        self.record(host, Act::Listens, [number_of(address)], || address.to_string());
        Ok(TcpListener::from(listener))
    }

    /// An address of the host, with a port.
    pub(crate) fn local_address(
        &mut self,
        host: Index,
        mut address: SocketAddr,
    ) -> io::Result<SocketAddr> {
        let ip = address.ip();
        if self.host_at(host, ip) != Some(host) {
            let own = self.hosts[host].ip;
            return Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                format!("{ip} is no address of this simulated host, which has {own}; bind that"),
            ));
        }
        if address.port() == 0 {
            address.set_port(self.hosts[host].next_bound_port());
        }
        Ok(address)
    }

    pub(crate) fn listener_at(&mut self, host: Index, target: SocketAddr) -> Option<u64> {
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
            Known::Stream { .. } => None,
        }
    }

    /// Forgets listeners and UDP sockets that a host has closed.
    pub(crate) fn look_for_closed_sockets(&mut self, host: Index) {
        let is_closed = |listener: &Listener| listener.host == host && !listener.handed.is_open();
        let closed: Vec<u64> = self
            .listeners
            .iter()
            .filter(|(_, listener)| is_closed(listener))
            .map(|(id, _)| *id)
            .collect();
        closed.into_iter().for_each(|id| self.close_listener(id));
        for inode in self.datagrams.take_closed(host) {
            self.known.remove(&inode);
        }
    }

    pub(crate) fn close_listener(&mut self, id: u64) {
        let Some(listener) = self.listeners.remove(&id) else { return };
        self.known.remove(&listener.handed.inode);
        for (outer, _, connection) in listener.queue {
            drop(outer);
            self.with_connection(connection, |state, connection| {
                state.send_reset(connection, Side::Server);
            });
        }
    }
}

/// True if both cannot be bound on one host.
pub(crate) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (any || one.ip() == other.ip())
}

/// True if what is bound to `address` on the host of `ip` gets what is sent to `target`.
pub(crate) fn answers_to(address: SocketAddr, target: SocketAddr, ip: IpAddr) -> bool {
    let target_ip = if target.ip().is_unspecified() { ip } else { target.ip() };
    address.port() == target.port()
        && (address.ip() == target_ip
            || address.ip().is_unspecified()
            || (target.ip().is_unspecified() && address.ip().is_loopback()))
}
