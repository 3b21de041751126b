//! One host: what it runs, and what state it is in.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::event::epoll;
use rustix::io::Errno;

use crate::baton::Seat;
use crate::rng::Rng;
use crate::state::{Event, Index, State, number_of};
use crate::tcp::{Connection, Side};
use crate::trace::Act;

/// What a host runs: anew at each start. Returns what it failed with.
pub(crate) type Main = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It has no thread.
    Down,
    /// It is to run at a time.
    Ready,
    Running,
    /// It waits for something to be ready, and for its deadline at most.
    Waiting,
    /// It was to run, while it is paused.
    Paused,
}

/// How a host came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its main function has returned.
    ByItself,
    Failed(String),
    Killed,
    PoweredOff,
}

pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) ip: IpAddr,
    pub(crate) main: Main,
    pub(crate) shared: Arc<HostShared>,
    pub(crate) thread: Option<JoinHandle<()>>,
    pub(crate) status: Status,
    pub(crate) ticket: u64,
    pub(crate) starts: u32,
    /// How it is being ended, until its thread is gone.
    pub(crate) ending: Option<Ended>,
    pub(crate) ended: Option<Ended>,
    /// Without power: nobody answers for it.
    pub(crate) is_off: bool,
    /// For each time that it is to be killed when it has sent: for how long.
    pub(crate) kills_on_send: VecDeque<u64>,
    /// It has sent, and is killed at the end of its step: nothing more gets out of it.
    pub(crate) is_dying: bool,
    pub(crate) pauses: u32,
    pub(crate) refusals: u32,
    pub(crate) short_writes: u32,
    pub(crate) accept_errors: VecDeque<Errno>,
    /// The simulator's ends of its connections.
    pub(crate) ends: OwnedFd,
    pub(crate) costs: Rng,
    pub(crate) wakes: Rng,
    pub(crate) order: Rng,
    /// The next ones that are chosen for a connection, and for a socket that is bound.
    port: u16,
    has_wrapped: bool,
    bound_port: u16,
}

/// What others than the baton's holder see of a host.
pub(crate) struct HostShared {
    pub(crate) seat: Seat,
    /// It has to end: whoever waits on it unwinds.
    pub(crate) is_ending: AtomicBool,
    pub(crate) notified: AtomicBool,
    pub(crate) clock: Mutex<HostClock>,
    /// Random bytes, for its programs.
    pub(crate) random: Mutex<Rng>,
}

/// A host's clock, against the simulation's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HostClock {
    /// Since then it is so fast: at `start` it showed `shown`.
    start: u64,
    shown: u64,
    /// Millionths by which it is too fast.
    skew: i64,
}

impl HostClock {
    /// What it shows at a time of the simulation.
    pub(crate) fn show(self, at: u64) -> u64 {
        let passed = at.saturating_sub(self.start);
        if self.skew == 0 {
            return self.shown + passed;
        }
        let skewed = i128::from(passed) * i128::from(1_000_000 + self.skew) / 1_000_000;
        self.shown + skewed as u64
    }

    /// When it shows `shown`, not before.
    pub(crate) fn when(self, shown: u64) -> u64 {
        let passed = shown.saturating_sub(self.shown);
        if self.skew == 0 {
            return self.start.saturating_add(passed);
        }
        let rate = (1_000_000 + self.skew) as u128;
        let real = (u128::from(passed) * 1_000_000).div_ceil(rate);
        self.start.saturating_add(u64::try_from(real).unwrap_or(u64::MAX))
    }

    /// Goes on at another speed.
    pub(crate) fn set_skew(&mut self, at: u64, skew: i64) {
        *self = Self { start: at, shown: self.show(at), skew };
    }
}

impl HostShared {
    pub(crate) fn clock(&self) -> HostClock {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    pub(crate) fn new(seed: u64, name: String, ip: IpAddr, main: Main) -> io::Result<Self> {
        let rng = |what| Rng::keyed(seed, &[what, number_of((ip, 0).into())]);
        Ok(Self {
            name,
            ip,
            main,
            shared: Arc::new(HostShared {
                seat: Seat::default(),
                is_ending: AtomicBool::new(false),
                notified: AtomicBool::new(false),
                clock: Mutex::default(),
                random: Mutex::new(rng(4)),
            }),
            thread: None,
            status: Status::Down,
            ticket: 0,
            starts: 0,
            ending: None,
            ended: None,
            is_off: false,
            kills_on_send: VecDeque::new(),
            is_dying: false,
            pauses: 0,
            refusals: 0,
            short_writes: 0,
            accept_errors: VecDeque::new(),
            ends: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            costs: rng(1),
            wakes: rng(2),
            order: rng(3),
            port: FIRST_PORT,
            has_wrapped: false,
            bound_port: FIRST_BOUND_PORT,
        })
    }

    /// A port for a connection, and whether an earlier one may still have it.
    fn next_port(&mut self) -> (u16, bool) {
        let port = self.port;
        self.port = port.checked_add(1).unwrap_or(FIRST_PORT);
        self.has_wrapped |= self.port == FIRST_PORT;
        (port, self.has_wrapped)
    }

    /// A port for a socket that is bound to any.
    pub(crate) fn next_bound_port(&mut self) -> u16 {
        let port = self.bound_port;
        self.bound_port = port.checked_add(1).unwrap_or(FIRST_BOUND_PORT);
        port
    }
}

/// What is told to who waits, or wants the network, in a destructor of a host that is killed.
pub(crate) const ENDS: &str = "this simulated host is being ended; nothing comes here";

/// The first of those ports that the system chooses itself (RFC 6335).
const FIRST_PORT: u16 = 49152;

/// Beyond those that Linux chooses: the socket that stands for one on the loopback is bound to the
/// machine's own, where somebody else may listen.
const FIRST_BOUND_PORT: u16 = 61_000;

pub(crate) const BOUND_PORTS: u16 = u16::MAX - FIRST_BOUND_PORT + 1;

/// The most that one go round a program's loop costs, in nanoseconds. It must cost something, or a
/// loop that only yields would stop the clock.
const TURN: u64 = 10_000;

impl State {
    /// A host has done its step, and is at its wait: what it has sent goes on its way.
    pub(crate) fn step_ends(&mut self, index: Index) {
        self.collect(index);
        self.look_for_closed_sockets(index);
    }

    /// An address for a connection to `target`, of those that no other one to it has.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL`, as connect(2).
    pub(crate) fn free_address(
        &mut self,
        host: Index,
        ip: IpAddr,
        target: SocketAddr,
    ) -> Result<SocketAddr, Errno> {
        for _ in FIRST_PORT..=u16::MAX {
            let (port, may_be_taken) = self.hosts[host].next_port();
            let address = SocketAddr::new(ip, port);
            let has_it = |connection: &Connection| {
                let [own, other] = Side::BOTH.map(|side| connection.address(side));
                (own.ip().to_canonical(), own.port(), other) == (ip, port, target)
            };
            if !may_be_taken || !self.connections.values().any(|connection| has_it(connection)) {
                return Ok(address);
            }
        }
        Err(Errno::ADDRNOTAVAIL)
    }

    /// The host goes on as soon as it has had its turn's time.
    pub(crate) fn takes_turn(&mut self, index: Index) {
        self.step_ends(index);
        let cost = 1 + self.hosts[index].costs.below(TURN);
        self.run_at(index, self.now + cost);
    }

    /// The host waits for something to become ready, or for a time on its clock.
    pub(crate) fn sleeps(&mut self, index: Index, deadline: Option<u64>) {
        let host = &mut self.hosts[index];
        if host.shared.notified.swap(false, Ordering::AcqRel) {
            return self.run_at(index, self.now);
        }
        if let Some(deadline) = deadline {
            let at = host.shared.clock().when(deadline);
            self.run_at(index, at);
        } else {
            host.ticket += 1;
        }
        self.hosts[index].status = Status::Waiting;
    }

    /// Has a host end: it is to run, to do so. `None` if there is nothing to end.
    pub(crate) fn end_host(&mut self, index: Index, how: Ended) -> Option<Index> {
        let host = &mut self.hosts[index];
        if host.status == Status::Down {
            host.is_off |= how == Ended::PoweredOff;
            return None;
        }
        host.is_off |= how == Ended::PoweredOff;
        // Before its destructors run: of a program that is killed, nothing more is heard.
        self.leave_network(index);
        let host = &mut self.hosts[index];
        host.ending = Some(how);
        host.ticket += 1;
        host.status = Status::Running;
        host.shared.is_ending.store(true, Ordering::Release);
        Some(index)
    }

    /// An error if the host is being ended: its destructors reach no network.
    pub(crate) fn has_network(&self, index: Index) -> io::Result<()> {
        if self.hosts[index].shared.is_ending.load(Ordering::Acquire) {
            return Err(io::Error::new(io::ErrorKind::NetworkDown, ENDS));
        }
        Ok(())
    }

    /// A host's thread is gone.
    pub(crate) fn host_ended(&mut self, index: Index, how: Ended) {
        self.record(index, Act::Ends, [how.number()], || format!("{how:?}"));
        self.leave_network(index);
        self.known.retain(|_, (owner, _)| *owner != index);
        let host = &mut self.hosts[index];
        host.status = Status::Down;
        host.ticket += 1;
        if let Ended::Failed(error) = &how {
            let text = format!("host {} has failed at {}: {error}", host.name, Seconds(self.now));
            self.failure.get_or_insert(crate::state::Failure(text));
        }
        self.hosts[index].ended = Some(how);
    }
}

impl Ended {
    fn number(&self) -> u64 {
        match self {
            Self::ByItself => 0,
            Self::Failed(_) => 1,
            Self::Killed => 2,
            Self::PoweredOff => 3,
        }
    }
}

/// A time, to be shown.
pub(crate) struct Seconds(pub(crate) u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:09} s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// So that a host's thread that has not begun yet is woken for its end, too.
impl State {
    pub(crate) fn starts(&mut self, index: Index) {
        let host = &mut self.hosts[index];
        host.starts += 1;
        host.is_off = false;
        host.is_dying = false;
        host.ended = None;
        host.ending = None;
        host.shared.is_ending.store(false, Ordering::Release);
        host.shared.notified.store(false, Ordering::Release);
        let starts = u64::from(host.starts);
        let delay = host.wakes.below(TURN);
        self.record(index, Act::Starts, [starts], || format!("for the {starts}. time"));
        self.run_at(index, self.now + delay);
        self.unpark_ways_to(index);
    }

    /// Plans a change for now.
    pub(crate) fn plan_change(&mut self, change: crate::change::Change) {
        self.at(self.now, Event::Change(change));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skewed_clock_shows_what_it_is_asked_for_when_it_says_so() {
        let mut clock = HostClock::default();
        clock.set_skew(1_000, 50_000);
        assert_eq!(clock.show(1_000), 1_000);
        assert_eq!(clock.show(101_000), 106_000);
        clock.set_skew(101_000, -50_000);
        assert_eq!(clock.show(201_000), 201_000);
        for shown in 106_001..107_000 {
            let at = clock.when(shown);
            assert!(clock.show(at) >= shown && clock.show(at - 1) < shown, "{shown} at {at}");
        }
    }
}
