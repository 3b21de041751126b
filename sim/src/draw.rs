//! Faults that are drawn from the seed.
//! Invariant: each fault has a stream of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::fault::{AcceptError, Wrong};
use crate::rng::{Rng, mix};
use crate::sim::{Host, Sim};

/// The kinds of faults, without those that they happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs)] // As those of `Wrong`.
pub enum Kind {
    Killed,
    KilledOnSend,
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
    /// Those after which a program begins anew: for programs that keep nothing.
    pub const RESTARTS: [Self; 3] = [Self::Killed, Self::KilledOnSend, Self::PoweredOff];

    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Killed,
        Self::KilledOnSend,
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
        Kind::KilledOnSend => Wrong::KilledOnSend(one),
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
