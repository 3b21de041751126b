//! Layer 1: the names of registrations and what is kept under them.
//! Invariant: a [`Key`] names one registration of one selector for ever; no other registration,
//! there or elsewhere, equals it.

use std::fmt;

use crate::interest::Interest;
use crate::slots::SlotKey;

/// When a registration is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// At every select for as long as the source is ready. Every back end has it.
    #[default]
    Level,
    /// When the source *becomes* ready: handle it until `WouldBlock`, or it stays silent. Being
    /// reported more often than that is possible. Epoll and kqueue have it.
    Edge,
    /// Once; then silent until [`Selector::modify`](super::Selector::modify) arms it again.
    /// Every back end has it.
    Oneshot,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Level => "level",
            Self::Edge => "edge",
            Self::Oneshot => "oneshot",
        })
    }
}

/// The name of a registration: what [`Selector::register`](super::Selector::register) returns
/// and what a select reports.
///
/// Small, `Copy` and generational. A key whose registration is gone, or that belongs to another
/// selector, is refused everywhere (`None`, or an error of kind `NotFound`); it never reaches
/// another source, though the same slot and descriptor number are in use again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    selector: SelectorId,
    token: Token,
}

impl Key {
    pub(super) fn new(selector: SelectorId, token: Token) -> Self {
        Self { selector, token }
    }

    /// The token that this key names, if it is a key of `selector`.
    pub(super) fn token_in(self, selector: SelectorId) -> Option<Token> {
        (self.selector == selector).then_some(self.token)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { selector: SelectorId(selector), token } = self;
        write!(f, "Key({}v{}@{:08x})", token.index(), token.version(), *selector as u32)
    }
}

/// What tells one selector's keys from another's: 64 random bits, as a counter would need a
/// global.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SelectorId(pub(super) u64);

impl SelectorId {
    pub(super) fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self(RandomState::new().hash_one(0_u8))
    }
}

/// What a [`Backend`](super::backend::Backend) knows of a registration: 64 opaque bits, fit for
/// `epoll_event.data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(SlotKey);

impl Token {
    /// For a back end's own use (its notifier): never the token of a registration.
    pub const RESERVED: Self = Self::from_bits(u64::MAX);

    pub(super) const fn of(slot: SlotKey) -> Self {
        Self(slot)
    }

    /// The slot of the registration.
    pub(super) const fn slot(self) -> SlotKey {
        self.0
    }

    pub(super) const fn index(self) -> u32 {
        self.0.index()
    }

    pub(super) const fn version(self) -> u32 {
        self.0.version()
    }

    /// The bits, to hand to the system.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.to_bits()
    }

    /// The token of these bits, as the system hands them back.
    ///
    /// Bits that no registration has are harmless: the selector drops their events.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(SlotKey::from_bits(bits))
    }
}

/// A registration: the source, what it is watched for, and your own data. Python's
/// `SelectorKey`.
///
/// The selector lends it only by shared reference, so the source inside cannot be swapped while
/// the system watches its descriptor; that is what makes registering safe.
/// [`Selector::data_mut`](super::Selector::data_mut) lends the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelectorKey<S, D = ()> {
    /// What is watched: Python's `fileobj`.
    pub source: S,
    /// What it is watched for.
    pub interest: Interest,
    /// When it is reported.
    pub mode: Mode,
    /// Your own data: a callback, a connection's state, `()`.
    pub data: D,
}

impl<S, D> SelectorKey<S, D> {
    /// The source and the data.
    pub fn into_parts(self) -> (S, D) {
        (self.source, self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_slot_and_its_version() {
        let token = Token::of(SlotKey::new(7, 3));
        assert_eq!((token.index(), token.version()), (7, 3));
        assert_eq!(Token::from_bits(token.to_bits()), token);
        assert_eq!(format!("{:?}", Key::new(SelectorId(0xabc), token)), "Key(7v3@00000abc)");
    }

    #[test]
    fn two_selectors_never_share_a_key() {
        let token = Token::from_bits(1 << 32 | 1);
        let [one, other] = [SelectorId::random(), SelectorId::random()];
        assert_ne!(Key::new(one, token), Key::new(other, token));
        assert_eq!(Key::new(one, token).token_in(other), None);
        assert_eq!(Key::new(one, token).token_in(one), Some(token));
    }
}
