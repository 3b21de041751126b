//! Layer 1: the reusable buffer that a select fills and the loop body walks.
//! Invariant: it holds nothing of the selector but a table that says which registrations are still
//! there; so a walk borrows only the buffer, and to unregister costs the same whatever buffers live.

use std::fmt;
use std::iter::FusedIterator;
use std::num::NonZeroUsize;
use std::slice;
use std::sync::Arc;
use std::time::Instant;

use super::backend::ReadyList;
use super::key::{Key, SelectorId, Token};
use super::liveness::Liveness;
use crate::interest::Readiness;

/// What the first select can report to [`Events::new`]: 1024, as with mio and polling, so that the
/// system call's own cost vanishes per event.
const FIRST_CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// A reusable buffer of what a [`select`](super::Selector::select) found.
///
/// It holds the result of the last select that was given it. Walking it borrows nothing from
/// the selector, so the loop body may register, modify and unregister; a key that is
/// unregistered while the batch is walked is not delivered any more.
///
/// It takes 16 bytes for each key of the fullest batch that it has held.
pub struct Events {
    pub(super) ready: ReadyList,
    /// The selector that filled it last.
    owner: Option<Owner>,
    grows: bool,
    /// What the select read of the clock after its last wait, if it did.
    pub(super) read_after: Option<Instant>,
}

struct Owner {
    id: SelectorId,
    liveness: Arc<Liveness>,
}

impl Events {
    /// A buffer for 1024 keys a select, and for twice as many whenever that was not enough.
    #[must_use]
    pub const fn new() -> Self {
        Self { ready: ReadyList::new(FIRST_CAPACITY), owner: None, grows: true, read_after: None }
    }

    /// A buffer for at most `capacity` keys a select.
    ///
    /// When more are ready, the rest is found by the next select; all back ends take turns, so
    /// that none is left out for ever.
    #[must_use]
    pub const fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self { ready: ReadyList::new(capacity), owner: None, grows: false, read_after: None }
    }

    /// The most keys that the next select can report.
    #[must_use]
    pub const fn capacity(&self) -> NonZeroUsize {
        self.ready.capacity()
    }

    /// How many keys the last select reported, those unregistered since included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ready.len()
    }

    /// True if the last select ended by its timeout or a [`Notifier`](super::Notifier).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// True if a [`Notifier`](super::Notifier) ended the last select, perhaps beside keys: an
    /// empty batch without this means that the timeout has elapsed.
    #[must_use]
    pub const fn is_notified(&self) -> bool {
        self.ready.is_notified()
    }

    /// Walks the last batch: each key once, with what happened to it.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { ready: self.ready.as_slice().iter(), owner: self.owner.as_ref() }
    }

    /// Empties the buffer for a select of the selector `id`.
    #[inline]
    pub(super) fn begin(&mut self, id: SelectorId, liveness: &Arc<Liveness>) {
        self.ready.clear();
        if self.owner.as_ref().is_none_or(|owner| owner.id != id) {
            self.owner = Some(Owner { id, liveness: Arc::clone(liveness) });
        }
    }

    /// The time at which the last select ended, if it had to ask.
    pub(crate) const fn read_after(&self) -> Option<Instant> {
        self.read_after
    }

    /// Makes room for more, after a wait that has filled the buffer.
    pub(super) const fn grow(&mut self) {
        if self.grows {
            self.ready.grow();
        }
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
    ready: slice::Iter<'e, (Token, Readiness)>,
    owner: Option<&'e Owner>,
}

impl Iterator for Iter<'_> {
    type Item = (Key, Readiness);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let owner = self.owner?;
        let (token, readiness) = self.ready.find(|(token, _)| owner.liveness.has(*token))?;
        Some((Key::new(owner.id, *token), *readiness))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.ready.len()))
    }
}

impl FusedIterator for Iter<'_> {}

impl fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Makes the batch out of what a back end has found, in its place: the first `len` of it are what
/// is reported so far, and the others are still to be looked at.
pub(super) struct Batch<'r> {
    ready: &'r mut [(Token, Readiness)],
    len: usize,
}

impl<'r> Batch<'r> {
    #[inline]
    pub(super) const fn new(ready: &'r mut [(Token, Readiness)]) -> Self {
        Self { ready, len: 0 }
    }

    #[inline]
    pub(super) const fn found(&self, index: usize) -> (Token, Readiness) {
        self.ready[index]
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds an event and returns its position. `last` is where this token stood when it was
    /// added last: a back end that reports it twice in one batch makes one event of both.
    #[inline]
    pub(super) fn add(&mut self, token: Token, readiness: Readiness, last: usize) -> usize {
        if last < self.len && self.ready[last].0 == token {
            self.ready[last].1 |= readiness;
            return last;
        }
        self.ready[self.len] = (token, readiness);
        self.len += 1;
        self.len - 1
    }
}
