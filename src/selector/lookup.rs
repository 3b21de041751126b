//! Layer 1: what a selector tells of its registrations.
//! Invariant: nothing here asks the system, and no source is lent mutably.

use std::ops::Index;

use super::Selector;
use super::error;
use super::key::{Key, SelectorKey, Token};
use crate::sys::{AsFd, AsRawFd, BorrowedFd, RawFd};

impl<S, D, B> Selector<S, D, B> {
    /// The registration that `key` names, if it is one of this selector.
    pub fn get(&self, key: Key) -> Option<&SelectorKey<S, D>> {
        self.entries.get(key.token_in(self.id)?.slot()).map(|entry| &entry.key)
    }

    /// The data of the registration that `key` names, to change it.
    ///
    /// There is no `&mut` to the source: who could swap it would leave the system watching a
    /// descriptor that nobody owns.
    pub fn data_mut(&mut self, key: Key) -> Option<&mut D> {
        self.entries.get_mut(key.token_in(self.id)?.slot()).map(|entry| &mut entry.key.data)
    }

    /// The key under which a descriptor is registered: Python's `get_key(fileobj)`.
    pub fn key_of(&self, fd: impl AsFd) -> Option<Key> {
        self.key_of_raw(fd.as_fd().as_raw_fd())
    }

    /// The key under which a descriptor of this number is registered.
    ///
    /// For whoever has the number alone, such as a language binding, or has closed the descriptor
    /// too early.
    pub fn key_of_raw(&self, fd: RawFd) -> Option<Key> {
        let token = self.by_fd.get(&fd)?;
        Some(Key::new(self.id, *token))
    }

    /// All registrations, in no particular order: Python's `get_map()`.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &SelectorKey<S, D>)> {
        self.entries.iter().map(|(slot, entry)| (Key::new(self.id, Token::of(slot)), &entry.key))
    }

    /// Each registration with its descriptor, and whether it is armed: a oneshot that has fired is
    /// not.
    pub(crate) fn each_descriptor(&self, mut f: impl FnMut(Key, BorrowedFd<'_>, bool)) {
        for (slot, entry) in self.entries.iter() {
            f(Key::new(self.id, Token::of(slot)), entry.fd, entry.fired_in.is_none());
        }
    }

    /// The descriptor of a registration.
    #[cfg(feature = "record")]
    pub(crate) fn fd_of(&self, key: Key) -> Option<RawFd> {
        let entry = self.entries.get(key.token_in(self.id)?.slot())?;
        Some(entry.fd.as_raw_fd())
    }

    /// How many sources are registered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if no source is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes the selector and gives all sources and data back.
    pub fn into_registrations(self) -> impl Iterator<Item = SelectorKey<S, D>> {
        // The back end goes first: nothing is watched when the sources come out.
        drop(self.backend);
        self.entries.into_values().map(|entry| entry.key)
    }

    /// What asks the system.
    pub fn backend(&self) -> &B {
        &self.backend
    }
}

impl<S, D, B> Index<Key> for Selector<S, D, B> {
    type Output = SelectorKey<S, D>;

    /// # Panics
    /// If the key is not registered here; [`get`](Selector::get) returns `None` then.
    fn index(&self, key: Key) -> &SelectorKey<S, D> {
        match self.get(key) {
            Some(registered) => registered,
            None => panic!("{}", error::not_registered(key)),
        }
    }
}
