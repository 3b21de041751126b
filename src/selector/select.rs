//! Layer 1: waits by the back end, and hands on what it found.
//! Imports its parent. Invariant: only live registrations are handed on, masked by their interest;
//! a system's set that reports what nobody can name any more is made anew.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use super::backend::{Backend, ReadyList, watched};
use super::deadline::Deadline;
use super::events::{Batch, Events, Iter};
use super::key::{Key, SelectorKey, Token};
use super::{Entry, KernelSet, Selector, WaitNumber};
use crate::interest::Readiness;

/// What became of a back end's wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Delivered {
    /// There was an event.
    any: bool,
    /// There were events of registrations that are gone.
    orphans: bool,
}

impl<S: AsFd, D, B: Backend> Selector<S, D, B> {
    /// Blocks until a source is ready or `timeout` has elapsed (`None`: for ever; zero: polls).
    ///
    /// Fills `events`, and returns an iterator over them: each ready key once, with what
    /// happened. None at all means the timeout, or a [`Notifier`](super::Notifier). The timeout is never cut
    /// short, and is exact to what the system can count.
    ///
    /// # Errors
    /// As `epoll_wait(2)`, except `EINTR`, which is retried to the same deadline (PEP 475). No
    /// event is lost by an error.
    pub fn select<'e>(
        &mut self,
        events: &'e mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<Iter<'e>> {
        self.follow(&events.batch);
        let Events { batch, ready } = events;
        self.select_into(ready, timeout, |token, entry, readiness| {
            entry.position = batch.push(token, readiness, entry.position);
        })?;
        Ok(events.iter())
    }

    /// As [`select`](Self::select), but calls `each` with every ready key and its data instead of
    /// collecting them: for a loop body that needs nothing else of the selector. `events` is empty
    /// afterwards.
    ///
    /// A back end that reports a key twice in one wait makes two calls of it.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    ///
    /// # Panics
    /// If `each` does. What it was not called with then is lost, where it is not reported by level.
    pub fn select_each(
        &mut self,
        events: &mut Events,
        timeout: Option<Duration>,
        mut each: impl FnMut(Key, &mut D, Readiness),
    ) -> io::Result<()> {
        let id = self.id;
        events.batch.start(id);
        self.select_into(&mut events.ready, timeout, |token, entry, readiness| {
            each(Key::new(id, token), &mut entry.key.data, readiness);
        })
    }

    /// Waits until `found` was called with what is ready, a notifier was used or `timeout` has
    /// elapsed.
    #[inline]
    fn select_into(
        &mut self,
        ready: &mut ReadyList,
        timeout: Option<Duration>,
        mut found: impl FnMut(Token, &mut Entry<S, D>, Readiness),
    ) -> io::Result<()> {
        if self.kernel_set == KernelSet::Incomplete {
            self.register_all_anew()?;
        }
        let deadline = Deadline::after(timeout);
        let mut remaining = timeout;
        loop {
            ready.clear();
            match self.backend.wait(ready, remaining) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    remaining = deadline.remaining();
                    continue;
                }
                result => result?,
            }
            let delivered = self.deliver(ready, &mut found);
            if delivered.any || ready.is_notified() {
                return Ok(());
            }
            if delivered.orphans && self.kernel_set == KernelSet::MayHaveOrphans {
                self.register_all_anew()?;
            }
            remaining = deadline.remaining();
            if remaining == Some(Duration::ZERO) {
                return Ok(());
            }
        }
    }

    /// Makes `batch` the one that this select fills and that unregistering strikes keys out of.
    ///
    /// Others stay followed while somebody has them: a loop body may select into another buffer
    /// and go on with the walk that it is part of.
    fn follow(&mut self, batch: &Arc<Batch>) {
        batch.start(self.id);
        if self.batches.last().is_some_and(|last| Arc::ptr_eq(last, batch)) {
            return;
        }
        let is_held = |batch: &Arc<Batch>| Arc::strong_count(batch) > 1;
        self.batches.retain(|other| {
            !Arc::ptr_eq(other, batch) && is_held(other) && other.owner() == self.id
        });
        self.batches.push(Arc::clone(batch));
    }

    /// Hands on what the back end found: tokens become entries, stale ones are dropped, and the
    /// rest is masked by the interest.
    #[inline]
    fn deliver(
        &mut self,
        ready: &ReadyList,
        found: &mut impl FnMut(Token, &mut Entry<S, D>, Readiness),
    ) -> Delivered {
        let wait = WaitNumber(self.last_wait.0.saturating_add(1));
        self.last_wait = wait;
        let mut delivered = Delivered::default();
        for &(token, readiness) in ready.as_slice() {
            let Some(entry) = self.entries.get_mut(token.slot()) else {
                delivered.orphans = true;
                continue;
            };
            let readiness = readiness.masked_by(entry.key.interest);
            if readiness.is_empty() || !entry.may_fire_in(wait) {
                continue;
            }
            delivered.any = true;
            found(token, entry, readiness);
        }
        delivered
    }

    /// Rids the system's set of registrations that cannot be named any more.
    fn register_all_anew(&mut self) -> io::Result<()> {
        self.backend.reset()?;
        self.kernel_set = KernelSet::Incomplete;
        for (slot, entry) in self.entries.iter().filter(|(_, entry)| entry.fired_in.is_none()) {
            let SelectorKey { interest, mode, .. } = entry.key;
            match self.backend.register(Token::of(slot), watched(entry.fd), interest, mode) {
                // Closed behind our back as well: silent from now on, as epoll has it.
                Err(error)
                    if error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error()) => {}
                result => result?,
            }
        }
        self.kernel_set = KernelSet::InStep;
        Ok(())
    }
}
