//! All that a simulation consists of, and what happens next in it.
//! Invariant: touched only by who has the baton. Whatever is walked is walked in an order that the
//! seed decides.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering as Memory;
use std::time::Duration;

use crate::change::Change;
use crate::fault::Fault;
use crate::host::{Ended, Host, Seconds, Status};
use crate::lane::Lane;
use crate::link::Link;
use crate::listen::Listener;
use crate::rng::{mix, nanos};
use crate::shared::Flags;
use crate::socket::{Census, Handed, Inode};
use crate::tcp::{Connection, Outcome, Side};
use crate::trace::{Act, Trace};
use crate::udp::Datagrams;
use crate::unix::{PathId, UnixSockets};

/// Which host: its place in the list.
pub(crate) type Index = usize;

/// What is to happen at a time.
pub(crate) enum Event {
    /// A host goes on, unless its ticket has become void.
    Run {
        host: Index,
        ticket: u64,
    },
    /// A connect arrives at the server.
    Asked {
        connection: u64,
        attempt: u32,
    },
    /// The answer arrives at the client.
    Answered {
        connection: u64,
        outcome: Outcome,
        attempt: u32,
    },
    /// What is on its way from this side arrives.
    Arrival {
        connection: u64,
        from: Side,
    },
    /// This side may send on.
    Acknowledged {
        connection: u64,
        from: Side,
    },
    /// What is on its way from this side has been so for too long, if nothing got through since.
    GivesUp {
        connection: u64,
        from: Side,
        parked_at: u64,
    },
    Datagram(Box<crate::udp::Datagram>),
    /// A sender learns that nobody hears what it has sent.
    Unheard {
        host: Index,
        from: SocketAddr,
        to: SocketAddr,
    },
    Change(Change),
}

struct Entry {
    at: u64,
    /// Of what is to happen at the same time, the first that was planned is the first.
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Who is to have the baton.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Host(Index),
    Driver,
}

/// Why a run cannot go on.
#[derive(Clone, Debug)]
pub(crate) struct Failure(pub(crate) String);

/// What a descriptor of a program is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known {
    Stream { connection: u64, side: Side, local: SocketAddr, handed: Handed },
    Listener(u64),
    Udp(u64),
    UnixListener { id: u64, path: PathId },
    UnixStream { own: Option<PathId>, peer: Option<PathId>, handed: Handed },
}

pub(crate) struct State {
    pub(crate) seed: u64,
    pub(crate) now: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    planned: u64,
    pub(crate) hosts: Vec<Host>,
    pub(crate) by_ip: HashMap<IpAddr, Index>,
    pub(crate) names: HashMap<String, IpAddr>,
    pub(crate) usual_link: Link,
    pub(crate) lanes: BTreeMap<(Index, Index), Lane>,
    pub(crate) connections: BTreeMap<u64, Box<Connection>>,
    pub(crate) last_connection: u64,
    /// How many connects there were from a host to an address.
    pub(crate) connects: HashMap<(Index, SocketAddr), u64>,
    pub(crate) listeners: BTreeMap<u64, Listener>,
    pub(crate) datagrams: Datagrams,
    pub(crate) unix: UnixSockets,
    /// The sockets that listen, or are bound.
    pub(crate) census: Census,
    pub(crate) known: HashMap<Inode, (Index, Known)>,
    /// How many are known when those are looked for that the programs have closed.
    next_sweep: usize,
    pub(crate) tcp_timeout: u64,
    pub(crate) trace: Trace,
    pub(crate) failure: Option<Failure>,
    /// Nothing happens after this time.
    pub(crate) limit: u64,
    /// The driver looks at something after each step of a host.
    pub(crate) driver_looks: bool,
    /// A host that the driver has to run.
    pub(crate) to_run: Option<Index>,
    /// Hosts whose threads are about to be gone, and how they came to their end.
    pub(crate) ended: Vec<(Index, Ended)>,
    pub(crate) allows_threads: bool,
    pub(crate) allows_network: bool,
    /// There is one host, on the thread of the driver.
    pub(crate) is_alone: bool,
    /// All that were planned.
    pub(crate) faults: Vec<(usize, Fault)>,
    flags: Arc<Flags>,
    /// Scratch.
    pub(crate) buf: Vec<u8>,
    pub(crate) events: Vec<(u64, u32)>,
}

/// How long Linux tries to send on before it gives a connection up.
const TCP_TIMEOUT: Duration = Duration::from_millis(924_600);

impl State {
    pub(crate) fn new(seed: u64, flags: Arc<Flags>, census: Census) -> Self {
        Self {
            seed,
            now: 0,
            queue: BinaryHeap::new(),
            planned: 0,
            hosts: Vec::new(),
            by_ip: HashMap::new(),
            names: HashMap::new(),
            usual_link: Link::default(),
            lanes: BTreeMap::new(),
            connections: BTreeMap::new(),
            last_connection: 0,
            connects: HashMap::new(),
            listeners: BTreeMap::new(),
            datagrams: Datagrams::default(),
            unix: UnixSockets::default(),
            census,
            known: HashMap::new(),
            next_sweep: FIRST_SWEEP,
            tcp_timeout: nanos(TCP_TIMEOUT),
            trace: Trace::default(),
            failure: None,
            limit: 0,
            driver_looks: false,
            to_run: None,
            ended: Vec::new(),
            allows_threads: false,
            allows_network: false,
            is_alone: false,
            faults: Vec::new(),
            flags,
            buf: vec![0; crate::link::PIECE],
            events: Vec::new(),
        }
    }

    /// Plans an event.
    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.planned += 1;
        self.queue.push(Reverse(Entry { at: at.max(self.now), number: self.planned, event }));
    }

    /// When the next event comes, as it is planned now.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse(entry)| entry.at)
    }

    /// Lets things happen until a host is to run, or the driver.
    pub(crate) fn advance(&mut self) -> Next {
        if self.driver_looks {
            return Next::Driver;
        }
        self.go_on()
    }

    /// As `advance`, for the driver.
    pub(crate) fn go_on(&mut self) -> Next {
        let next = self.next();
        self.flags.clock.store(self.now, Memory::Release);
        next
    }

    fn next(&mut self) -> Next {
        loop {
            if self.flags.notified.swap(false, Memory::AcqRel) {
                self.look_for_notified();
            }
            if self.failure.is_some() {
                return Next::Driver;
            }
            let is_due = self.queue.peek().is_some_and(|Reverse(entry)| entry.at <= self.limit);
            let Some(Reverse(Entry { at, event, .. })) = is_due.then(|| self.queue.pop()).flatten()
            else {
                self.now = self.limit;
                return Next::Driver;
            };
            self.now = at;
            if let Some(host) = self.happen(event) {
                return Next::Host(host);
            }
        }
    }

    /// Lets an event happen. Returns the host that is to run for it.
    fn happen(&mut self, event: Event) -> Option<Index> {
        match event {
            Event::Run { host, ticket } => return self.may_run(host, ticket).then_some(host),
            Event::Asked { connection, attempt } => self.asked(connection, attempt),
            Event::Answered { connection, outcome, attempt } => {
                self.answered(connection, outcome, attempt);
            }
            Event::Arrival { connection, from } => self.arrive(connection, from),
            Event::Acknowledged { connection, from } => self.acknowledged(connection, from),
            Event::GivesUp { connection, from, parked_at } => {
                self.gives_up(connection, from, parked_at);
            }
            Event::Datagram(datagram) => self.datagram_arrives(*datagram),
            Event::Unheard { host, from, to } => self.unheard(host, from, to),
            Event::Change(change) => return self.change(change),
        }
        None
    }

    fn may_run(&mut self, index: Index, ticket: u64) -> bool {
        let host = &mut self.hosts[index];
        if host.ticket != ticket || !matches!(host.status, Status::Ready | Status::Waiting) {
            return false;
        }
        if host.pauses > 0 {
            host.status = Status::Paused;
            return false;
        }
        host.status = Status::Running;
        true
    }

    /// Has a host run at a time, if nothing comes before.
    pub(crate) fn run_at(&mut self, index: Index, at: u64) {
        let host = &mut self.hosts[index];
        host.ticket += 1;
        host.status = Status::Ready;
        let ticket = host.ticket;
        self.at(at, Event::Run { host: index, ticket });
    }

    /// Something has become ready on a host.
    pub(crate) fn touch(&mut self, index: Index) {
        let host = &mut self.hosts[index];
        if host.status == Status::Waiting {
            let delay = host.wakes.below(WAKE_UP);
            self.run_at(index, self.now + delay);
        }
    }

    /// Wakes hosts that were notified while they waited: by another host, or by a thread.
    fn look_for_notified(&mut self) {
        let by_foreigner = self.flags.notified_by_foreigner.swap(false, Memory::AcqRel);
        if by_foreigner && !self.allows_threads {
            let text = format!(
                "a host was notified at {} by a thread that no simulation runs, so \
                 that no run would be as another one; do without threads on hosts, or say \
                 Sim::allow_threads",
                Seconds(self.now)
            );
            self.failure.get_or_insert(Failure(text));
        }
        for index in 0..self.hosts.len() {
            let host = &mut self.hosts[index];
            if host.status == Status::Waiting && host.shared.notified.swap(false, Memory::AcqRel) {
                self.touch(index);
            }
        }
    }

    /// What the simulation itself needs of the system. Without it, the run fails: programs would see
    /// an error that is none of theirs, and another one on the next machine.
    pub(crate) fn needed<T>(&mut self, made: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &made {
            let text = format!(
                "the simulation lacks a descriptor at {}: {error}. A connection needs four, and a \
                 socket that is bound two; raise the limit of the process (ulimit -n)",
                Seconds(self.now)
            );
            self.failure.get_or_insert(Failure(text));
        }
        made
    }

    /// The host that has an address, seen from `from`.
    pub(crate) fn host_at(&self, from: Index, ip: IpAddr) -> Option<Index> {
        if ip.is_loopback() || ip.is_unspecified() {
            return Some(from);
        }
        self.by_ip.get(&ip).copied()
    }

    /// Remembers what a descriptor is, for as long as a program has it.
    pub(crate) fn know(&mut self, host: Index, inode: Inode, known: Known) {
        if self.known.len() >= self.next_sweep {
            self.known.retain(|_, (_, known)| match known {
                Known::Stream { handed, .. } | Known::UnixStream { handed, .. } => handed.is_open(),
                Known::Listener(_) | Known::Udp(_) | Known::UnixListener { .. } => true,
            });
            self.next_sweep = FIRST_SWEEP + 2 * self.known.len();
        }
        self.known.insert(inode, (host, known));
    }

    pub(crate) fn record<const N: usize>(
        &mut self,
        host: Index,
        act: Act,
        numbers: [u64; N],
        detail: impl FnOnce() -> String,
    ) {
        let name = self.hosts.get(host).map_or("", |host| &host.name);
        self.trace.add(self.now, name, act, numbers, detail);
    }
}

/// A host that is woken goes on within this time, by the seed: 50 µs, as on a machine that has
/// other things to do.
const WAKE_UP: u64 = 50_000;

const FIRST_SWEEP: usize = 256;

/// A number for an address, as a key.
pub(crate) fn number_of(address: SocketAddr) -> u64 {
    let ip = match address.ip() {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    };
    mix(mix(ip as u64, (ip >> 64) as u64), address.port().into())
}
