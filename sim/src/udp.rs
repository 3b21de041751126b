//! UDP: datagrams, in queues of the simulator.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use selkie::world::Taking;
use socket2::Type;

use crate::listen::{answers_to, collide};
use crate::rng::{Rng, hash_bytes, mix};
use crate::socket::{Bell, Census, Handed, Inode};
use crate::state::{Event, Index, Known, State, number_of};
use crate::tcp::no_such_host;
use crate::trace::Act;

/// A datagram on its way.
pub(crate) struct Datagram {
    to_host: Index,
    from_host: Index,
    to: SocketAddr,
    from: SocketAddr,
    bytes: Vec<u8>,
}

struct Bound {
    host: Index,
    address: SocketAddr,
    queue: VecDeque<(SocketAddr, Vec<u8>)>,
    /// The room that those in the queue take.
    queued: usize,
    bell: Bell,
    handed: Handed,
    /// As a listener has them.
    watchers: u32,
    rng: Rng,
    /// What it was connected to by `Async::connect`.
    peer: Option<SocketAddr>,
    /// What the next call is told.
    error: Option<Errno>,
}

impl Bound {
    /// What it is connected to: by `Async`, or by the standard library.
    fn peer(&self) -> Option<SocketAddr> {
        self.peer.or_else(|| self.handed.with(peer_of)?.ok())
    }

    fn take_error(&mut self) -> Result<(), Errno> {
        let Some(error) = self.error.take() else { return Ok(()) };
        if self.queue.is_empty() {
            self.bell.silence();
        }
        Err(error)
    }
}

#[derive(Default)]
pub(crate) struct Datagrams {
    bound: BTreeMap<u64, Bound>,
    last: u64,
}

/// The longest that IPv4 carries.
const LONGEST: usize = 65_507;

/// What a socket's queue holds: Linux's usual `SO_RCVBUF`. What comes beyond it is lost.
const QUEUE: usize = 212_992;

/// What a datagram takes of it: with the kernel's own about it, and 768 bytes at least.
const fn room_for(len: usize) -> usize {
    const OWN: usize = 576;
    const LEAST: usize = 768;
    if len + OWN > LEAST { len + OWN } else { LEAST }
}

impl Datagrams {
    pub(crate) fn bell(&self, id: u64) -> Option<io::Result<OwnedFd>> {
        Some(self.bound.get(&id)?.bell.descriptor())
    }

    pub(crate) fn peer(&self, id: u64) -> Option<SocketAddr> {
        self.bound.get(&id)?.peer
    }

    pub(crate) fn address(&self, id: u64) -> Option<SocketAddr> {
        Some(self.bound.get(&id)?.address)
    }

    pub(crate) fn watchers(&mut self, id: u64) -> Option<&mut u32> {
        Some(&mut self.bound.get_mut(&id)?.watchers)
    }

    /// Takes out the sockets that a host has closed.
    pub(crate) fn take_closed(&mut self, host: Index, census: &Census) -> Vec<Inode> {
        let is_closed = |bound: &Bound| {
            bound.host == host && bound.watchers == 0 && !census.is_open(bound.handed)
        };
        let closed = self.bound.values().filter(|bound| is_closed(bound));
        let closed: Vec<_> = closed.map(|bound| bound.handed.inode).collect();
        self.bound.retain(|_, bound| !closed.contains(&bound.handed.inode));
        closed
    }

    pub(crate) fn forget(&mut self, host: Index) {
        self.bound.retain(|_, bound| bound.host != host);
    }
}

impl State {
    pub(crate) fn bind_udp(&mut self, host: Index, address: SocketAddr) -> io::Result<UdpSocket> {
        self.has_network(host)?;
        self.look_for_closed_sockets(host);
        let address = self.local_address(host, address, |state, address| {
            let mut others = state.datagrams.bound.values().filter(|other| other.host == host);
            others.any(|other| collide(other.address, address))
        })?;
        let made = self.census.stand_in(Type::DGRAM, address);
        let (socket, handed) = self.needed(made)?;
        let bell = self.needed(Bell::new())?;
        self.datagrams.last += 1;
        let id = self.datagrams.last;
        let count = self.hosts[host].starts.into();
        let key = mix(number_of((self.hosts[host].ip, address.port()).into()), count);
        let rng = Rng::keyed(self.seed, &[20, key]);
        let bound = Bound {
            host,
            address,
            queue: VecDeque::new(),
            queued: 0,
            bell,
            handed,
            watchers: 0,
            rng,
            peer: None,
            error: None,
        };
        self.datagrams.bound.insert(id, bound);
        self.know(host, handed.inode, Known::Udp(id));
        self.record(host, Act::Listens, [number_of(address)], || format!("udp {address}"));
        Ok(UdpSocket::from(socket))
    }

    pub(crate) fn send_datagram(
        &mut self,
        id: u64,
        bytes: &[u8],
        target: Option<SocketAddr>,
    ) -> io::Result<usize> {
        if bytes.len() > LONGEST {
            return Err(Errno::MSGSIZE.into());
        }
        let bound = self.datagrams.bound.get_mut(&id).ok_or(Errno::BADF)?;
        bound.take_error()?;
        let to = target.or_else(|| bound.peer()).ok_or(Errno::DESTADDRREQ)?;
        let (from_host, mut from) = (bound.host, bound.address);
        let mut rng = bound.rng.clone();
        let to_host = self.host_at(from_host, to.ip()).ok_or_else(|| no_such_host(to))?;
        if from.ip().is_unspecified() {
            from.set_ip(if to.ip().is_loopback() { to.ip() } else { self.hosts[from_host].ip });
        }
        let (len, hash) = (bytes.len(), hash_bytes(bytes));
        let numbers = [number_of(to), len as u64, hash];
        self.record(from_host, Act::Datagram, numbers, || format!("{len} bytes to {to}"));
        if self.hosts[from_host].is_dying {
            return Ok(len);
        }
        self.has_sent(from_host);
        let link = self.link(from_host, to_host);
        let copies =
            if rng.chance(link.loss) { 0 } else { 1 + u32::from(rng.chance(link.doubling)) };
        for _ in 0..copies {
            let at = self.arrival(from_host, to_host, len, &mut rng);
            let bytes = bytes.to_vec();
            let datagram = Datagram { to_host, from_host, to, from, bytes };
            self.at(at, Event::Datagram(Box::new(datagram)));
        }
        if let Some(bound) = self.datagrams.bound.get_mut(&id) {
            bound.rng = rng;
        }
        Ok(len)
    }

    pub(crate) fn datagram_arrives(&mut self, datagram: Datagram) {
        let Datagram { to_host, from_host, to, from, bytes } = datagram;
        // What a held link keeps back of a datagram is as good as lost.
        if self.is_cut(from_host, to_host)
            || self.is_held(from_host, to_host)
            || !self.is_up(to_host)
        {
            return;
        }
        self.look_for_closed_sockets(to_host);
        let ip = self.hosts[to_host].ip;
        let mut all = self.datagrams.bound.values_mut();
        let receiver = all.find(|bound| bound.host == to_host && answers_to(bound.address, to, ip));
        let Some(receiver) = receiver else {
            // As ICMP tells, on the same way back.
            let mut rng = Rng::keyed(self.seed, &[21, number_of(from), self.now]);
            let at = self.arrival(to_host, from_host, 0, &mut rng);
            return self.at(at, Event::Unheard { host: from_host, from, to });
        };
        if receiver.queued + room_for(bytes.len()) > QUEUE {
            return;
        }
        if receiver.peer().is_some_and(|peer| peer != from) {
            return;
        }
        let (len, hash) = (bytes.len() as u64, hash_bytes(&bytes));
        receiver.queued += room_for(bytes.len());
        receiver.queue.push_back((from, bytes));
        receiver.bell.ring();
        self.record(to_host, Act::Receives, [number_of(from), len, hash], || {
            format!("a datagram of {len} bytes from {from}")
        });
        self.touch(to_host);
    }

    pub(crate) fn connect_udp(&mut self, id: u64, peer: SocketAddr) -> io::Result<()> {
        let bound = self.datagrams.bound.get_mut(&id).ok_or(Errno::BADF)?;
        let host = bound.host;
        self.host_at(host, peer.ip()).ok_or_else(|| no_such_host(peer))?;
        let own = self.hosts[host].ip;
        if let Some(bound) = self.datagrams.bound.get_mut(&id) {
            bound.peer = Some(peer);
            // As connect(2) chooses the address that it sends from.
            if bound.address.ip().is_unspecified() {
                bound.address.set_ip(if peer.ip().is_loopback() { peer.ip() } else { own });
            }
        }
        Ok(())
    }

    /// Only a socket that is connected is told that nobody hears it.
    pub(crate) fn unheard(&mut self, host: Index, from: SocketAddr, to: SocketAddr) {
        let ip = self.hosts[host].ip;
        let mut all = self.datagrams.bound.values_mut();
        let sender = all.find(|bound| bound.host == host && answers_to(bound.address, from, ip));
        if let Some(sender) = sender
            && sender.peer() == Some(to)
        {
            sender.error = Some(Errno::CONNREFUSED);
            sender.bell.ring();
            self.touch(host);
        }
    }

    pub(crate) fn receive_datagram(
        &mut self,
        id: u64,
        buf: &mut [u8],
        taking: Taking,
    ) -> io::Result<(usize, SocketAddr)> {
        let bound = self.datagrams.bound.get_mut(&id).ok_or(Errno::BADF)?;
        bound.take_error()?;
        let (from, bytes) = bound.queue.front().ok_or(Errno::AGAIN)?;
        let (from, len) = (*from, bytes.len().min(buf.len()));
        buf[..len].copy_from_slice(&bytes[..len]);
        if taking == Taking::Takes {
            bound.queued -= room_for(bytes.len());
            bound.queue.pop_front();
            if bound.queue.is_empty() {
                bound.bell.silence();
            }
        }
        Ok((len, from))
    }
}

/// What a socket was connected to, by the program.
fn peer_of(socket: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(rustix::net::getpeername(socket)?.ok_or(Errno::DESTADDRREQ)?)?)
}
