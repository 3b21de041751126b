//! Layer 1: the list that a back end fills and a selector reads.
//! Limit: its capacity. Invariant: it takes memory for what has been pushed, not for its capacity.

use std::fmt;
use std::num::NonZeroUsize;

use super::Token;
use crate::interest::Readiness;

/// Where a [`Backend`](super::Backend) puts what is ready.
pub struct ReadyList {
    ready: Vec<(Token, Readiness)>,
    capacity: NonZeroUsize,
    notified: bool,
}

impl ReadyList {
    /// An empty list with room for `capacity` tokens.
    #[must_use]
    pub const fn new(capacity: NonZeroUsize) -> Self {
        Self { ready: Vec::new(), capacity, notified: false }
    }

    /// How many tokens there is room for in all.
    #[must_use]
    pub const fn capacity(&self) -> NonZeroUsize {
        self.capacity
    }

    /// How many tokens were pushed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ready.len()
    }

    /// True if no token was pushed, though perhaps a notification.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// True if nothing more can be pushed.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.ready.len() >= self.capacity.get()
    }

    /// Adds a token and what happened to its descriptor.
    ///
    /// # Panics
    /// If the list is full.
    #[inline]
    pub fn push(&mut self, token: Token, readiness: Readiness) {
        assert!(!self.is_full(), "a back end reported more tokens than there is room for");
        self.ready.push((token, readiness));
    }

    /// Says that a [`Notifier`](crate::Notifier) ended the wait; see [`Backend`](super::Backend)
    /// for when that may be said.
    pub const fn set_notified(&mut self) {
        self.notified = true;
    }

    /// True if a [`Notifier`](crate::Notifier) ended the wait.
    #[must_use]
    pub const fn is_notified(&self) -> bool {
        self.notified
    }

    /// What was pushed.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Token, Readiness)> {
        self.ready.iter().copied()
    }

    /// Changes what was pushed, and keeps that for which `keep` is true: for a wrapper.
    pub fn retain(&mut self, mut keep: impl FnMut(Token, &mut Readiness) -> bool) {
        self.ready.retain_mut(|(token, readiness)| keep(*token, readiness));
    }

    /// Takes out what was pushed; a notification stays.
    pub fn drain(&mut self) -> impl ExactSizeIterator<Item = (Token, Readiness)> {
        self.ready.drain(..)
    }

    /// Empties the list; it has no notification then, either.
    pub fn clear(&mut self) {
        self.ready.clear();
        self.notified = false;
    }

    /// As a slice.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[(Token, Readiness)] {
        &self.ready
    }

    /// As a slice, to be made shorter in place.
    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [(Token, Readiness)] {
        &mut self.ready
    }

    #[inline]
    pub(crate) fn truncate(&mut self, len: usize) {
        self.ready.truncate(len);
    }

    /// Doubles the capacity.
    pub(crate) const fn grow(&mut self) {
        self.capacity = self.capacity.saturating_add(self.capacity.get());
    }
}

impl Extend<(Token, Readiness)> for ReadyList {
    /// Adds many at once, which takes less than to [`push`](Self::push) each of them.
    ///
    /// # Panics
    /// If the list is more than full then.
    #[inline]
    fn extend<I: IntoIterator<Item = (Token, Readiness)>>(&mut self, many: I) {
        self.ready.extend(many);
        assert!(
            self.ready.len() <= self.capacity.get(),
            "a back end reported more tokens than there is room for"
        );
    }
}

impl fmt::Debug for ReadyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadyList")
            .field("ready", &self.ready)
            .field("notified", &self.notified)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_nothing_was_pushed_on_takes_no_memory() {
        let mut list = ReadyList::new(NonZeroUsize::MAX);
        assert_eq!(list.ready.capacity(), 0);
        list.push(Token::from_bits(1), Readiness::READ);
        list.grow();
        assert!(!list.is_full() && list.ready.capacity() < 100);
        assert_eq!(list.capacity(), NonZeroUsize::MAX);
    }

    #[test]
    fn a_wrapper_can_change_and_strike_out_what_was_pushed() {
        let mut list = ReadyList::new(NonZeroUsize::new(3).expect("not zero"));
        let tokens = [1, 2, 3].map(Token::from_bits);
        tokens.into_iter().for_each(|token| list.push(token, Readiness::READ));
        assert!(list.is_full() && list.len() == 3);
        list.set_notified();
        list.retain(|token, readiness| {
            *readiness |= Readiness::WRITE;
            token != tokens[1]
        });
        let both = Readiness::READ | Readiness::WRITE;
        assert!(list.iter().eq([(tokens[0], both), (tokens[2], both)]));
        assert_eq!(list.drain().len(), 2);
        assert!(list.is_empty() && list.is_notified());
        list.clear();
        assert!(!list.is_notified());
    }
}
