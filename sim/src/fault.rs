//! Faults: what goes wrong, with whom, when, and for how long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use crate::change::Change;
use crate::rng::nanos;
use crate::sim::{Host, Sim};
use crate::state::Index;

/// Why an accept fails though somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcceptError {
    /// `EMFILE`: the process is out of descriptors.
    NoDescriptors,
    /// `ENOBUFS`: the system is out of memory.
    NoMemory,
}

impl AcceptError {
    pub(crate) const fn errno(self) -> Errno {
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
    /// A host's program is killed, and started again at the end; one that has ended by itself is left
    /// alone.
    Killed(Host),
    /// A host's program is killed in the step in which it sends something: the first datagram gets
    /// out, and none after it. It is started again so long after that, as for `Killed`.
    KilledOnSend(Host),
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
            Wrong::Killed(host) => one(Change::Kill(host.index), Change::Revive(host.index)),
            Wrong::KilledOnSend(host) => {
                (vec![Change::KillOnSend(host.index, nanos(self.lasts))], vec![])
            }
            Wrong::PoweredOff(host) => {
                one(Change::PowerOff(host.index), Change::Revive(host.index))
            }
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
            Wrong::KilledOnSend(host) => write!(f, "{} is killed when it has sent", name(host)),
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
