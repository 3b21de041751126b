//! The lies by name, how often each is told, and how often each was.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::chance::Chance;

macro_rules! lies {
    ($($(#[$doc:meta])* $lie:ident,)*) => {
        /// What a lying back end does; see the header of [`super`] for why it may.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Lie {
            $($(#[$doc])* $lie,)*
        }

        impl Lie {
            pub const ALL: &[Self] = &[$(Self::$lie,)*];
        }
    };
}

lies! {
    /// EINTR, before the system was asked or after part of the timeout, what it found kept back.
    Interrupt,
    /// A wait ends before its timeout, with nothing.
    EndEarly,
    /// An event twice in a batch.
    Repeat,
    /// The events of a batch in another order.
    Reorder,
    /// An event in parts, one for each bit, in one batch.
    Fragment,
    /// An event of a registration that is gone, or never was.
    Gone,
    /// Directions that the interest does not name.
    Beyond,
    /// An event only some waits later.
    Hold,
    /// Part of an event now, the rest some waits later.
    Split,
    /// An event that was told, once more in a later batch.
    Again,
    /// Readiness that nobody has.
    Spurious,
    /// A notification only some waits later.
    HoldNotification,
    /// ENOMEM instead of a wait, what the system found kept back.
    Fail,
    /// ENOMEM or ENOSPC instead of a registration.
    RefuseRegister,
    /// ENOMEM or ENOSPC instead of a modification.
    RefuseModify,
}

const KINDS: usize = Lie::ALL.len();

/// How often each lie is told, in percent of the occasions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates([u8; KINDS]);

impl Rates {
    pub const NONE: Self = Self([0; KINDS]);

    /// Those that a selector hides from its user altogether.
    pub const HIDDEN: Self = Self::NONE
        .with(Lie::Interrupt, 15)
        .with(Lie::EndEarly, 20)
        .with(Lie::Repeat, 25)
        .with(Lie::Reorder, 50)
        .with(Lie::Fragment, 25)
        .with(Lie::Gone, 20)
        .with(Lie::Beyond, 25);

    /// Those too that its user has to expect, but no errors.
    pub const HONOURABLE: Self = Self::HIDDEN
        .with(Lie::Hold, 30)
        .with(Lie::Split, 20)
        .with(Lie::Again, 10)
        .with(Lie::Spurious, 10)
        .with(Lie::HoldNotification, 20);

    /// All of them.
    pub const ALL: Self = Self::HONOURABLE
        .with(Lie::Fail, 3)
        .with(Lie::RefuseRegister, 15)
        .with(Lie::RefuseModify, 15);

    pub const fn with(mut self, lie: Lie, percent: u8) -> Self {
        self.0[lie as usize] = percent;
        self
    }

    pub fn of(&self, lie: Lie) -> u8 {
        self.0[lie as usize]
    }

    /// True if something may be kept back when a select returns.
    pub fn keep_back(&self) -> bool {
        let lies = [Lie::Hold, Lie::Split, Lie::HoldNotification, Lie::Fail];
        lies.iter().any(|lie| self.of(*lie) > 0)
    }

    /// Each lie or not: a spurious event makes up for a lost one, so that a mistake may show only
    /// where some lies are *not* told.
    pub fn some(mut self, chance: &mut Chance) -> Self {
        for rate in &mut self.0 {
            if chance.coin() {
                *rate = 0;
            }
        }
        self
    }
}

/// How often each lie was told.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; KINDS]);

impl Counts {
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; KINDS])
    }

    pub fn add(&self, lie: Lie, count: u64) {
        self.0[lie as usize].fetch_add(count, Relaxed);
    }

    pub fn of(&self, lie: Lie) -> u64 {
        self.0[lie as usize].load(Relaxed)
    }

    pub fn total(&self) -> u64 {
        Lie::ALL.iter().map(|lie| self.of(*lie)).sum()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lies", self.total())?;
        let told = Lie::ALL.iter().filter(|lie| self.of(**lie) > 0);
        told.enumerate().try_for_each(|(place, lie)| {
            write!(f, "{}{lie:?} {}", if place == 0 { ": " } else { ", " }, self.of(*lie))
        })
    }
}
