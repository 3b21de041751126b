//! Layer 1: the reusable buffer that a select fills and the loop body walks.
//! Imports `backend` and `key`. Invariant: a slot of the batch names a live registration or
//! [`Token::RESERVED`]; unregistering strikes a key out of every batch that may be being walked.
//!
//! The selector keeps a second handle to a batch, so that the walk borrows nothing from it.
//! The cells are atomic only to keep both halves `Send`; each is one plain load or store.

use std::fmt;
use std::iter::FusedIterator;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::backend::ReadyList;
use super::key::{Key, SelectorId, Token};
use crate::interest::Readiness;

/// Events per [`Events::new`]: 1024, as mio and polling take; a batch of that size costs 16 KiB
/// and makes the system call's own cost vanish per event.
const DEFAULT_CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// A reusable buffer of what a [`select`](super::Selector::select) found.
///
/// It holds the result of the last select that was given it. Walking it borrows nothing from
/// the selector, so the loop body may register, modify and unregister; a key that is
/// unregistered while the batch is walked is not delivered any more.
pub struct Events {
    pub(super) batch: Arc<Batch>,
    pub(super) ready: ReadyList,
}

impl Events {
    /// A buffer for 1024 keys a select.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// A buffer for at most `capacity` keys a select.
    ///
    /// When more are ready, the rest is found by the next select; all back ends take turns, so
    /// that none is left out for ever.
    #[must_use]
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self { batch: Arc::new(Batch::new(capacity)), ready: ReadyList::new(capacity) }
    }

    /// The most keys that one select can report.
    #[must_use]
    pub fn capacity(&self) -> NonZeroUsize {
        self.ready.capacity()
    }

    /// How many keys the last select reported, those unregistered since included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.len.load(Relaxed)
    }

    /// True if the last select ended by its timeout or a [`Notifier`](super::Notifier).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Walks the last batch: each key once, with what happened to it.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { batch: &self.batch, next: 0 }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'e> IntoIterator for &'e Events {
    type Item = (Key, Readiness);
    type IntoIter = Iter<'e>;

    fn into_iter(self) -> Iter<'e> {
        self.iter()
    }
}

/// Walks a batch of [`Events`]; what [`select`](super::Selector::select) returns.
#[derive(Clone)]
pub struct Iter<'e> {
    batch: &'e Batch,
    next: usize,
}

impl Iterator for Iter<'_> {
    type Item = (Key, Readiness);

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.batch.len.load(Relaxed) {
            let slot = &self.batch.slots[self.next];
            self.next += 1;
            let token = slot.token();
            if token != Token::RESERVED {
                return Some((Key::new(self.batch.owner(), token), slot.readiness()));
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.batch.len.load(Relaxed) - self.next))
    }
}

impl FusedIterator for Iter<'_> {}

impl fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// What a select found: filled by the selector, walked by [`Iter`].
pub(super) struct Batch {
    owner: AtomicU64,
    len: AtomicUsize,
    slots: Box<[Slot]>,
}

struct Slot {
    token: AtomicU64,
    readiness: AtomicU8,
}

impl Slot {
    fn token(&self) -> Token {
        Token::from_bits(self.token.load(Relaxed))
    }

    fn readiness(&self) -> Readiness {
        Readiness::from_bits_retain(self.readiness.load(Relaxed))
    }
}

impl Batch {
    fn new(capacity: NonZeroUsize) -> Self {
        let slot = || Slot {
            token: AtomicU64::new(Token::RESERVED.to_bits()),
            readiness: AtomicU8::new(0),
        };
        Self {
            owner: AtomicU64::new(0),
            len: AtomicUsize::new(0),
            slots: std::iter::repeat_with(slot).take(capacity.get()).collect(),
        }
    }

    pub(super) fn owner(&self) -> SelectorId {
        SelectorId(self.owner.load(Relaxed))
    }

    /// Empties the batch for a select of `owner`.
    pub(super) fn start(&self, owner: SelectorId) {
        self.owner.store(owner.0, Relaxed);
        self.len.store(0, Relaxed);
    }

    /// Adds an event and returns its position. `last` is where this token stood when it was
    /// added last: a back end that reports it twice in one batch makes one event of both.
    pub(super) fn push(&self, token: Token, readiness: Readiness, last: usize) -> usize {
        let len = self.len.load(Relaxed);
        if self.has(token, last) {
            self.slots[last].readiness.fetch_or(readiness.bits(), Relaxed);
            return last;
        }
        self.slots[len].token.store(token.to_bits(), Relaxed);
        self.slots[len].readiness.store(readiness.bits(), Relaxed);
        self.len.store(len + 1, Relaxed);
        len
    }

    /// True if `token` is at `position`.
    pub(super) fn has(&self, token: Token, position: usize) -> bool {
        position < self.len.load(Relaxed) && self.slots[position].token() == token
    }

    /// Strikes `token` out, if it is at `position` of a batch of `owner`.
    pub(super) fn strike(&self, owner: SelectorId, token: Token, position: usize) {
        if self.owner() == owner && self.has(token, position) {
            self.slots[position].token.store(Token::RESERVED.to_bits(), Relaxed);
        }
    }

    /// Strikes `token` out of a batch of `owner`, if it is in it.
    pub(super) fn strike_wherever(&self, owner: SelectorId, token: Token) {
        let len = self.len.load(Relaxed);
        if let Some(position) = self.slots[..len].iter().position(|slot| slot.token() == token) {
            self.strike(owner, token, position);
        }
    }
}
