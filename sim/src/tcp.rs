//! TCP: what a connection is, and how it begins.
//!
//! A connection is two socket pairs, an end of each in a program. The simulator has the other ends,
//! and moves bytes between them.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::rng::{Rng, mix};
use crate::socket::{self, Handed, Inode, Room};
use crate::state::{Event, Index, Known, State, number_of};
use crate::stream::{Look, Way};
use crate::trace::Act;

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Client, Self::Server];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What became of a connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Connected,
    Failed(Errno),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    Ended(Outcome),
}

/// What a connection has on one host.
pub(crate) struct End {
    pub(crate) host: Index,
    pub(crate) address: SocketAddr,
    /// The simulator's end; none once the program's is closed, or was reset.
    pub(crate) inner: Option<OwnedFd>,
    pub(crate) handed: Option<Handed>,
    pub(crate) nodelay: bool,
    /// Whether its host's set is told when the program reads.
    tells_of_room: bool,
    /// What this side sends.
    pub(crate) way: Way,
}

pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) phase: Phase,
    ends: [End; 2],
}

impl Connection {
    pub(crate) fn end(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }

    pub(crate) fn host(&self, side: Side) -> Index {
        self.ends[side as usize].host
    }

    pub(crate) fn address(&self, side: Side) -> SocketAddr {
        self.ends[side as usize].address
    }

    pub(crate) fn nodelay(&self, side: Side) -> bool {
        self.ends[side as usize].nodelay
    }

    /// True if nothing more can come of it.
    pub(crate) fn is_over(&self) -> bool {
        self.phase != Phase::Connecting && self.ends.iter().all(|end| end.inner.is_none())
    }
}

/// How often a connect asks again, each time after twice as long: 127 s in all, as on Linux.
const RETRIES: u32 = 6;

/// What tells that a program has sent something, or has ended its side.
const SENT: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET);

const SECOND: u64 = 1_000_000_000;

impl State {
    /// Runs `f` with a connection, and forgets it if it is over then.
    pub(crate) fn with_connection<R>(
        &mut self,
        id: u64,
        f: impl FnOnce(&mut Self, &mut Connection) -> R,
    ) -> Option<R> {
        let mut connection = self.connections.remove(&id)?;
        let result = f(self, &mut connection);
        if !connection.is_over() {
            self.connections.insert(id, connection);
        }
        Some(result)
    }

    /// Begins to connect.
    pub(crate) fn connect(&mut self, client: Index, target: SocketAddr) -> io::Result<TcpStream> {
        self.has_network(client)?;
        let server = self.host_at(client, target.ip()).ok_or_else(|| no_such_host(target))?;
        let ip = if server == client && target.ip().is_loopback() {
            target.ip()
        } else {
            self.hosts[client].ip
        };
        let local = self.free_address(client, ip, target)?;
        let (outer, inner) = self.needed(socket::pair())?;
        socket::stuff(outer.as_fd())?;
        let handed = Handed { fd: outer.as_raw_fd(), inode: Inode::of(&outer)? };
        let count = self.connects.entry((client, target)).or_default();
        *count += 1;
        let key = mix(number_of((self.hosts[client].ip, 0).into()), mix(number_of(target), *count));
        self.last_connection += 1;
        let id = self.last_connection;
        let ways = [0, 1].map(|way| Way::new(Rng::keyed(self.seed, &[10 + way, key])));
        let [there, back] = ways;
        let end = |host, address, inner, handed, way| End {
            host,
            address,
            inner,
            handed,
            nodelay: false,
            tells_of_room: false,
            way,
        };
        let ends = [
            end(client, local, Some(inner), Some(handed), there),
            end(server, target, None, None, back),
        ];
        let connection = Connection { id, phase: Phase::Connecting, ends };
        self.connections.insert(id, Box::new(connection));
        let known = Known::Stream { connection: id, side: Side::Client, local, handed };
        self.know(client, handed.inode, known);
        self.record(client, Act::Connects, [id, number_of(target)], || {
            format!("#{id} to {target}")
        });
        self.ask(id, 0);
        Ok(TcpStream::from(outer))
    }

    /// Sends the client's question on its way.
    fn ask(&mut self, id: u64, attempt: u32) {
        self.with_connection(id, |state, connection| {
            let [client, server] = Side::BOTH.map(|side| connection.host(side));
            let rng = &mut connection.end(Side::Client).way.rng;
            let at = state.arrival(client, server, 0, rng);
            state.at(at, Event::Asked { connection: id, attempt });
        });
    }

    /// A client asks to be connected.
    pub(crate) fn asked(&mut self, id: u64, attempt: u32) {
        self.with_connection(id, |state, connection| {
            let [client, server] = Side::BOTH.map(|side| connection.host(side));
            let target = connection.address(Side::Server);
            let outcome = if state.is_cut(client, server) || state.hosts[server].is_off {
                None
            } else if state.hosts[server].refusals > 0 {
                Some(Outcome::Failed(Errno::CONNREFUSED))
            } else {
                state.enqueue(connection, target)
            };
            match outcome {
                Some(outcome) => state.answer(connection, outcome, attempt),
                None => state.ask_again(connection, attempt),
            }
        });
    }

    /// Puts the server's end into the queue of who listens. `None` if there is no room.
    fn enqueue(&mut self, connection: &mut Connection, target: SocketAddr) -> Option<Outcome> {
        let server = connection.host(Side::Server);
        let refused = Some(Outcome::Failed(Errno::CONNREFUSED));
        let Some(id) = self.listener_at(server, target) else { return refused };
        if self.listeners[&id].is_full() {
            return None;
        }
        let (outer, inner) = self.needed(socket::pair()).ok()?;
        let inode = Inode::of(&outer).ok()?;
        if self.hosts[server].short_writes > 0 {
            socket::set_send_buffer(outer.as_fd(), Room::Least).ok()?;
        }
        let handed = Handed { fd: outer.as_raw_fd(), inode };
        let (id_of_connection, side) = (connection.id, Side::Server);
        let mut local = target;
        if self.listeners[&id].address.is_ipv6() {
            // As one that listens for both sees IPv4.
            let peer = &mut connection.end(Side::Client).address;
            for address in [&mut local, peer] {
                address.set_ip(mapped(address.ip()));
            }
        }
        let known = Known::Stream { connection: id_of_connection, side, local, handed };
        self.know(server, inode, known);
        let end = connection.end(Side::Server);
        end.handed = Some(handed);
        end.inner = Some(inner);
        self.watch(connection, Side::Server);
        let peer = connection.address(Side::Client);
        let listener = self.listeners.get_mut(&id).expect("just found");
        listener.push(outer, peer, connection.id);
        self.touch(server);
        Some(Outcome::Connected)
    }

    /// Has the end's host tell when the program has sent, or has read.
    fn watch(&mut self, connection: &mut Connection, side: Side) {
        let id = connection.id;
        let end = connection.end(side);
        let data = EventData::new_u64(id << 1 | side as u64);
        if let Some(inner) = &end.inner {
            // Fails only without memory, or beyond the user's number of watches.
            epoll::add(&self.hosts[end.host].ends, inner, data, SENT)
                .expect("the system watches a simulated connection");
        }
    }

    /// Has it tell, too, when the program has read: what has arrived has no room.
    pub(crate) fn watch_for_room(&self, connection: &mut Connection, side: Side) {
        let id = connection.id;
        let end = connection.end(side);
        let data = EventData::new_u64(id << 1 | side as u64);
        if !std::mem::replace(&mut end.tells_of_room, true)
            && let Some(inner) = &end.inner
        {
            epoll::modify(&self.hosts[end.host].ends, inner, data, SENT | EventFlags::OUT)
                .expect("the system watches a simulated connection");
        }
    }

    fn answer(&mut self, connection: &mut Connection, outcome: Outcome, attempt: u32) {
        let [client, server] = Side::BOTH.map(|side| connection.host(side));
        let way = &mut connection.end(Side::Server).way;
        let at = self.arrival(server, client, 0, &mut way.rng);
        way.last_arrival = at;
        self.at(at, Event::Answered { connection: connection.id, outcome, attempt });
    }

    fn ask_again(&mut self, connection: &Connection, attempt: u32) {
        let id = connection.id;
        if attempt < RETRIES {
            let at = self.now + (SECOND << attempt);
            self.at(at, Event::Asked { connection: id, attempt: attempt + 1 });
        } else {
            let outcome = Outcome::Failed(Errno::TIMEDOUT);
            let at = self.now + (SECOND << attempt);
            self.at(at, Event::Answered { connection: id, outcome, attempt: u32::MAX });
        }
    }

    /// A client learns what became of its connect.
    pub(crate) fn answered(&mut self, id: u64, outcome: Outcome, attempt: u32) {
        self.with_connection(id, |state, connection| {
            let [client, server] = Side::BOTH.map(|side| connection.host(side));
            if connection.phase != Phase::Connecting {
                return;
            }
            if attempt != u32::MAX && state.is_cut(server, client) {
                let (at, attempt) = if attempt < RETRIES {
                    (state.now + (SECOND << attempt), attempt + 1)
                } else {
                    (state.now, u32::MAX)
                };
                let outcome = match attempt {
                    u32::MAX => Outcome::Failed(Errno::TIMEDOUT),
                    _ => outcome,
                };
                return state.at(at, Event::Answered { connection: id, outcome, attempt });
            }
            connection.phase = Phase::Ended(outcome);
            match outcome {
                Outcome::Connected => state.connected(connection),
                Outcome::Failed(error) => state.refused(connection, error),
            }
            state.touch(client);
        });
    }

    fn connected(&mut self, connection: &mut Connection) {
        let client = connection.host(Side::Client);
        let room = if self.hosts[client].short_writes > 0 { Room::Least } else { Room::Usual };
        let end = connection.end(Side::Client);
        let Some(inner) = &end.inner else { return };
        socket::unstuff(inner.as_fd());
        // The program may have closed it.
        let _ = end.handed.and_then(|handed| handed.with(|fd| socket::set_send_buffer(fd, room)));
        self.watch(connection, Side::Client);
        self.record(client, Act::Connected, [connection.id], || format!("#{}", connection.id));
        self.pump(connection, Side::Client, Look::Twice);
        self.unpark(connection, Side::Server);
    }

    fn refused(&mut self, connection: &mut Connection, error: Errno) {
        let (id, client) = (connection.id, connection.host(Side::Client));
        let end = connection.end(Side::Client);
        if let Some(inner) = &end.inner {
            socket::unstuff(inner.as_fd());
            // As a socket that is not connected: a hang-up.
            let _ = rustix::net::shutdown(inner, rustix::net::Shutdown::Both);
        }
        self.watch(connection, Side::Client);
        // A server that had accepted learns it by its first byte.
        let number = error.raw_os_error() as u64;
        self.record(client, Act::Refuses, [id, number], || format!("#{id}: {error}"));
    }

    /// True if the host takes part: its system answers, whether or not a program runs.
    pub(crate) fn is_up(&self, host: Index) -> bool {
        !self.hosts[host].is_off
    }
}

/// An IPv4 address as IPv6 has it.
fn mapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().into(),
        IpAddr::V6(_) => ip,
    }
}

pub(crate) fn no_such_host(target: SocketAddr) -> io::Error {
    io::Error::new(
        io::ErrorKind::HostUnreachable,
        format!(
            "{target} is the address of no simulated host, and the real network is out of reach \
             here; add a host with Sim::host"
        ),
    )
}
