//! Faults: what goes wrong, with whom, when, and for how long.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use crate::host::{Ended, Status};
use crate::rng::{Rng, mix};
use crate::sim::{Host, Sim};
use crate::socket::Room;
use crate::state::{Index, State};
use crate::tcp::{Outcome, Phase, Side};
use crate::trace::Act;

/// One thing that changes, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Kill(Index),
    PowerOff(Index),
    Start(Index),
    Pause(Index),
    Resume(Index),
    /// Nothing gets from one to the other any more.
    Cut(Index, Index),
    Mend(Index, Index),
    /// What gets from one to the other waits.
    Hold(Index, Index),
    Release(Index, Index),
    /// All connections between two are reset.
    Reset(Index, Index),
    Refuse(Index),
    RefuseNoMore(Index),
    /// A clock is too fast, by millionths.
    Skew(Index, i64),
    FailAccepts(Index, AcceptError, u32),
    ShortWrites(Index),
    ShortWritesNoMore(Index),
}

impl State {
    /// Makes a change. Returns the host that is to run for it, to its end.
    pub(crate) fn change(&mut self, change: Change) -> Option<Index> {
        let (host, numbers) = change.numbers();
        let text = if self.trace.is_kept() { self.text_of(change) } else { String::new() };
        self.record(host, Act::Fault, numbers, || text);
        match change {
            Change::Kill(host) => return self.end_host(host, Ended::Killed),
            Change::PowerOff(host) => return self.end_host(host, Ended::PoweredOff),
            Change::Start(host) => self.start_again(host),
            Change::Pause(host) => self.hosts[host].pauses += 1,
            Change::Resume(host) => self.resume(host),
            Change::Cut(from, to) => self.lane(from, to).cuts += 1,
            Change::Mend(from, to) => self.mend(from, to),
            Change::Hold(from, to) => self.lane(from, to).holds += 1,
            Change::Release(from, to) => self.release(from, to),
            Change::Reset(one, other) => self.reset_between(one, other),
            Change::Refuse(host) => self.hosts[host].refusals += 1,
            Change::RefuseNoMore(host) => decrease(&mut self.hosts[host].refusals),
            Change::Skew(host, skew) => self.skew(host, skew),
            Change::FailAccepts(host, error, count) => {
                let errors = &mut self.hosts[host].accept_errors;
                errors.extend(std::iter::repeat_n(error.errno(), count as usize));
            }
            Change::ShortWrites(host) => self.short_writes(host, Room::Least),
            Change::ShortWritesNoMore(host) => self.short_writes(host, Room::Usual),
        }
        None
    }

    /// For the trace, beside the host's name.
    fn text_of(&self, change: Change) -> String {
        let name = |host: Index| &self.hosts[host].name;
        match change {
            Change::Cut(_, to) => format!("nothing gets to {}", name(to)),
            Change::Mend(_, to) => format!("what it sends gets to {} again", name(to)),
            Change::Hold(_, to) => format!("what it sends to {} is held back", name(to)),
            Change::Release(_, to) => format!("what it sends to {} is let go", name(to)),
            Change::Reset(_, other) => format!("its connections with {} are reset", name(other)),
            Change::Kill(_) => "is killed".to_owned(),
            Change::PowerOff(_) => "loses its power".to_owned(),
            Change::Start(_) => "is started, if it is down".to_owned(),
            Change::Pause(_) => "stands still".to_owned(),
            Change::Resume(_) => "goes on".to_owned(),
            Change::Refuse(_) => "refuses connections".to_owned(),
            Change::RefuseNoMore(_) => "refuses connections no more".to_owned(),
            Change::Skew(_, skew) => format!("its clock is {skew} ppm too fast"),
            Change::FailAccepts(_, error, count) => format!("{count} accepts fail: {error:?}"),
            Change::ShortWrites(_) => "its writes are short".to_owned(),
            Change::ShortWritesNoMore(_) => "its writes are short no more".to_owned(),
        }
    }

    fn start_again(&mut self, host: Index) {
        if self.hosts[host].status == Status::Down && self.hosts[host].thread.is_none() {
            self.starts(host);
        }
    }

    fn resume(&mut self, host: Index) {
        decrease(&mut self.hosts[host].pauses);
        if self.hosts[host].pauses == 0 && self.hosts[host].status == Status::Paused {
            self.run_at(host, self.now);
        }
    }

    fn mend(&mut self, from: Index, to: Index) {
        decrease(&mut self.lane(from, to).cuts);
        self.unpark_ways(|sender, receiver| (sender, receiver) == (from, to));
    }

    fn release(&mut self, from: Index, to: Index) {
        decrease(&mut self.lane(from, to).holds);
        self.unpark_ways(|sender, receiver| (sender, receiver) == (from, to));
    }

    fn reset_between(&mut self, one: Index, other: Index) {
        self.each_end(one, |state, connection, side| {
            let is_meant = connection.host(side.other()) == other
                && connection.phase == Phase::Ended(Outcome::Connected);
            if is_meant {
                Side::BOTH.into_iter().for_each(|side| state.reset(connection, side));
            }
        });
    }

    fn skew(&mut self, host: Index, skew: i64) {
        let mut clock = self.hosts[host].shared.clock();
        clock.set_skew(self.now, skew);
        let shared = &self.hosts[host].shared;
        *shared.clock.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = clock;
        // Its deadlines come at other times now: it looks again.
        self.touch(host);
    }

    fn short_writes(&mut self, host: Index, room: Room) {
        let count = &mut self.hosts[host].short_writes;
        match room {
            Room::Least => *count += 1,
            Room::Usual => decrease(count),
        }
        let room = if *count > 0 { Room::Least } else { Room::Usual };
        self.each_end(host, |_, connection, side| {
            let is_connecting = connection.phase == Phase::Connecting;
            if let Some(handed) = connection.end(side).handed
                && !(is_connecting && side == Side::Client)
            {
                let _ = handed.with(|fd| crate::socket::set_send_buffer(fd, room));
            }
        });
    }
}

fn decrease(count: &mut u32) {
    *count = count.saturating_sub(1);
}

impl Change {
    /// For the trace: whose it is, and what tells it from others.
    fn numbers(self) -> (Index, [u64; 3]) {
        match self {
            Self::Kill(host) => (host, [0, 0, 0]),
            Self::PowerOff(host) => (host, [1, 0, 0]),
            Self::Start(host) => (host, [2, 0, 0]),
            Self::Pause(host) => (host, [3, 0, 0]),
            Self::Resume(host) => (host, [4, 0, 0]),
            Self::Cut(from, to) => (from, [5, to as u64, 0]),
            Self::Mend(from, to) => (from, [6, to as u64, 0]),
            Self::Hold(from, to) => (from, [7, to as u64, 0]),
            Self::Release(from, to) => (from, [8, to as u64, 0]),
            Self::Reset(one, other) => (one, [9, other as u64, 0]),
            Self::Refuse(host) => (host, [10, 0, 0]),
            Self::RefuseNoMore(host) => (host, [11, 0, 0]),
            Self::Skew(host, skew) => (host, [12, skew as u64, 0]),
            Self::FailAccepts(host, error, count) => (host, [13, error as u64, count.into()]),
            Self::ShortWrites(host) => (host, [14, 0, 0]),
            Self::ShortWritesNoMore(host) => (host, [15, 0, 0]),
        }
    }
}

/// Why an accept fails though somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcceptError {
    /// `EMFILE`: the process is out of descriptors.
    NoDescriptors,
    /// `ENOBUFS`: the system is out of memory.
    NoMemory,
}

impl AcceptError {
    const fn errno(self) -> Errno {
        match self {
            Self::NoDescriptors => Errno::MFILE,
            Self::NoMemory => Errno::NOBUFS,
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wrong {
    /// A host's program is killed, and started again at the end.
    Killed(Host),
    /// A host loses its power, and has it again at the end.
    PoweredOff(Host),
    /// A host's program stands still.
    Paused(Host),
    /// Nothing gets from one host to the other.
    CutOneWay(Host, Host),
    /// Nothing gets through between two hosts.
    Cut(Host, Host),
    /// A host is cut off from all others.
    Alone(Host),
    /// What one host sends to another is held back.
    Held(Host, Host),
    /// The connections between two hosts are reset, once.
    Reset(Host, Host),
    /// A host refuses connections.
    Refusing(Host),
    /// A host's clock goes too fast by so many millionths, or too slowly.
    Skewed(Host, i32),
    /// So many accepts of a host fail.
    FailingAccepts(Host, AcceptError, u32),
    /// A host's writes are short.
    ShortWrites(Host),
}

/// A fault: what goes wrong, when, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// When it begins, counted from its planning.
    pub after: Duration,
    /// How long it lasts, where it does.
    pub lasts: Duration,
    /// What it is.
    pub wrong: Wrong,
    /// How all hosts are called, by their places.
    names: Arc<[String]>,
}

impl Sim {
    /// A fault for [`plan`](Self::plan).
    #[must_use]
    pub fn fault(&self, after: Duration, wrong: Wrong, lasts: Duration) -> Fault {
        let state = self.shared.lock();
        let names = state.hosts.iter().map(|host| host.name.clone()).collect();
        Fault { after, lasts, wrong, names }
    }
}

impl Fault {
    /// What it changes at its beginning, and at its end.
    pub(crate) fn changes(&self) -> (Vec<Change>, Vec<Change>) {
        let one = |begin, end| (vec![begin], vec![end]);
        match self.wrong {
            Wrong::Killed(host) => one(Change::Kill(host.index), Change::Start(host.index)),
            Wrong::PoweredOff(host) => one(Change::PowerOff(host.index), Change::Start(host.index)),
            Wrong::Paused(host) => one(Change::Pause(host.index), Change::Resume(host.index)),
            Wrong::CutOneWay(from, to) => {
                one(Change::Cut(from.index, to.index), Change::Mend(from.index, to.index))
            }
            Wrong::Cut(one, other) => cuts([(one.index, other.index)]),
            Wrong::Alone(host) => {
                let others = (0..self.names.len()).filter(|other| *other != host.index);
                cuts(others.map(|other| (host.index, other)))
            }
            Wrong::Held(from, to) => {
                one(Change::Hold(from.index, to.index), Change::Release(from.index, to.index))
            }
            Wrong::Reset(one, other) => (vec![Change::Reset(one.index, other.index)], vec![]),
            Wrong::Refusing(host) => {
                one(Change::Refuse(host.index), Change::RefuseNoMore(host.index))
            }
            Wrong::Skewed(host, millionths) => {
                one(Change::Skew(host.index, millionths.into()), Change::Skew(host.index, 0))
            }
            Wrong::FailingAccepts(host, error, count) => {
                (vec![Change::FailAccepts(host.index, error, count)], vec![])
            }
            Wrong::ShortWrites(host) => {
                one(Change::ShortWrites(host.index), Change::ShortWritesNoMore(host.index))
            }
        }
    }
}

fn cuts(pairs: impl IntoIterator<Item = (Index, Index)>) -> (Vec<Change>, Vec<Change>) {
    let (mut begins, mut ends) = (Vec::new(), Vec::new());
    for (one, other) in pairs {
        begins.extend([Change::Cut(one, other), Change::Cut(other, one)]);
        ends.extend([Change::Mend(one, other), Change::Mend(other, one)]);
    }
    (begins, ends)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {:.3} s: ", self.after.as_secs_f64())?;
        let name = |host: Host| &self.names[host.index];
        match self.wrong {
            Wrong::Killed(host) => write!(f, "{} is killed", name(host)),
            Wrong::PoweredOff(host) => write!(f, "{} has no power", name(host)),
            Wrong::Paused(host) => write!(f, "{} stands still", name(host)),
            Wrong::CutOneWay(from, to) => write!(f, "nothing from {} to {}", name(from), name(to)),
            Wrong::Cut(one, other) => {
                write!(f, "nothing between {} and {}", name(one), name(other))
            }
            Wrong::Alone(host) => write!(f, "{} is cut off from all", name(host)),
            Wrong::Held(from, to) => {
                write!(f, "what {} sends to {} is held back", name(from), name(to))
            }
            Wrong::Reset(one, other) => {
                return write!(f, "connections of {} and {} are reset", name(one), name(other));
            }
            Wrong::Refusing(host) => write!(f, "{} refuses connections", name(host)),
            Wrong::Skewed(host, millionths) => {
                write!(f, "the clock of {} is {millionths} ppm too fast", name(host))
            }
            Wrong::FailingAccepts(host, error, count) => {
                return write!(f, "{count} accepts of {} fail: {error:?}", name(host));
            }
            Wrong::ShortWrites(host) => write!(f, "writes of {} are short", name(host)),
        }?;
        write!(f, ", for {:.3} s", self.lasts.as_secs_f64())
    }
}

/// The kinds of faults, without those that they happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs)] // As those of `Wrong`.
pub enum Kind {
    Killed,
    PoweredOff,
    Paused,
    CutOneWay,
    Cut,
    Alone,
    Held,
    Reset,
    Refusing,
    Skewed,
    FailingAccepts,
    ShortWrites,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Killed,
        Self::PoweredOff,
        Self::Paused,
        Self::CutOneWay,
        Self::Cut,
        Self::Alone,
        Self::Held,
        Self::Reset,
        Self::Refusing,
        Self::Skewed,
        Self::FailingAccepts,
        Self::ShortWrites,
    ];
}

/// Which faults are to be drawn from the seed; see [`Sim::draw_faults`].
#[derive(Clone, Debug)]
pub struct Faults {
    hosts: Vec<Host>,
    kinds: Vec<Kind>,
    most: u64,
    within: Duration,
    longest: Duration,
}

impl Faults {
    /// Up to ten faults of all kinds, to these hosts, that begin within this time, and last a tenth
    /// of it at most.
    #[must_use]
    pub fn new(hosts: &[Host], within: Duration) -> Self {
        let (kinds, longest) = (Kind::ALL.to_vec(), within / 10);
        Self { hosts: hosts.to_vec(), kinds, most: 10, within, longest }
    }

    /// Only these kinds. One that is named twice comes twice as often.
    #[must_use]
    pub fn kinds(mut self, kinds: &[Kind]) -> Self {
        self.kinds = kinds.to_vec();
        self
    }

    /// All kinds but these.
    #[must_use]
    pub fn without(mut self, kinds: &[Kind]) -> Self {
        self.kinds.retain(|kind| !kinds.contains(kind));
        self
    }

    /// Up to so many.
    #[must_use]
    pub const fn most(mut self, count: u32) -> Self {
        self.most = count as u64;
        self
    }

    /// Each lasts so long at most.
    #[must_use]
    pub const fn longest(mut self, time: Duration) -> Self {
        self.longest = time;
        self
    }
}

impl Sim {
    /// Draws faults from the seed, and plans them.
    ///
    /// Each has a stream of its own, so that the others stay as they are if one is left out:
    /// which is what [`check`](crate::check()) does, and the variable `SELKIE_FAULTS`.
    pub fn draw_faults(&mut self, faults: &Faults) {
        if faults.hosts.is_empty() || faults.kinds.is_empty() {
            return;
        }
        let drawn = self.drawn_before();
        let count = Rng::keyed(self.seed(), &[30, drawn]).below(faults.most + 1);
        for number in 0..count {
            let mut rng = Rng::keyed(self.seed(), &[31, mix(drawn, number)]);
            let kind = faults.kinds[rng.below(faults.kinds.len() as u64) as usize];
            let after = rng.time_below(faults.within);
            let lasts = Duration::from_millis(1) + rng.time_below(faults.longest);
            let wrong = draw(kind, &faults.hosts, &mut rng);
            let fault = self.fault(after, wrong, lasts);
            self.plan_unless_left_out(fault);
        }
    }
}

fn draw(kind: Kind, hosts: &[Host], rng: &mut Rng) -> Wrong {
    let count = hosts.len() as u64;
    let first = rng.below(count);
    // Another one, where there is one.
    let second = (first + 1 + rng.below(count.saturating_sub(1))) % count;
    let (one, other) = (hosts[first as usize], hosts[second as usize]);
    match kind {
        Kind::Killed => Wrong::Killed(one),
        Kind::PoweredOff => Wrong::PoweredOff(one),
        Kind::Paused => Wrong::Paused(one),
        Kind::CutOneWay => Wrong::CutOneWay(one, other),
        Kind::Cut => Wrong::Cut(one, other),
        Kind::Alone => Wrong::Alone(one),
        Kind::Held => Wrong::Held(one, other),
        Kind::Reset => Wrong::Reset(one, other),
        Kind::Refusing => Wrong::Refusing(one),
        // A tenth too fast or too slow at most: far more than real ones.
        Kind::Skewed => Wrong::Skewed(one, rng.below(200_001) as i32 - 100_000),
        Kind::FailingAccepts => {
            let both = [AcceptError::NoDescriptors, AcceptError::NoMemory];
            Wrong::FailingAccepts(one, both[rng.below(2) as usize], 1 + rng.below(5) as u32)
        }
        Kind::ShortWrites => Wrong::ShortWrites(one),
    }
}

/// Which of the faults are left in, by number; the others are not planned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum LeftIn {
    #[default]
    All,
    Only(BTreeSet<usize>),
}
