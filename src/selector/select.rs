//! Layer 1: waits by the back end, and hands on what it found.
//! Invariant: only live registrations are handed on, masked by their interest; the system's set is
//! made anew if it reports what cannot be removed from it.

use std::io;
use std::mem;
use std::time::Duration;

use super::backend::{Backend, OnSignal, ReadyList};
use super::events::{Batch, Events, Iter};
use super::key::{Key, SelectorKey, Token};
use super::until::Until;
use super::{Entry, KernelSet, Selector, WaitNumber};
use crate::interest::Readiness;
use crate::sys::AsFd;

/// What became of a back end's wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Delivered {
    /// How many events there were.
    events: usize,
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
    /// As `epoll_wait(2)`, except `EINTR`, which is retried to the same deadline (PEP 475), unless
    /// [`on_signal`](Self::on_signal) says otherwise. No event is lost by an error.
    pub fn select<'e>(
        &mut self,
        events: &'e mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<Iter<'e>> {
        self.select_until(events, self.until(timeout))
    }

    /// As [`select`](Self::select), to a deadline instead of a timeout: for a loop that knows the
    /// time. Reads the clock only if a wait brings nothing.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    pub fn select_until<'e>(
        &mut self,
        events: &'e mut Events,
        until: Until,
    ) -> io::Result<Iter<'e>> {
        self.select_into(events, until, |batch, token, entry, readiness| {
            entry.position = batch.add(token, readiness, entry.position);
        })?;
        Ok(events.iter())
    }

    /// As [`select`](Self::select), but calls `each` with every ready key, its source and its data
    /// instead of collecting them: for a loop body that needs nothing else of the selector.
    /// `events` is empty afterwards.
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
        each: impl FnMut(Key, &S, &mut D, Readiness),
    ) -> io::Result<()> {
        self.select_each_until(events, self.until(timeout), each)
    }

    /// As [`select_each`](Self::select_each), to a deadline, as [`select_until`](Self::select_until).
    ///
    /// # Errors
    /// As [`select`](Self::select).
    ///
    /// # Panics
    /// As [`select_each`](Self::select_each).
    pub fn select_each_until(
        &mut self,
        events: &mut Events,
        until: Until,
        each: impl FnMut(Key, &S, &mut D, Readiness),
    ) -> io::Result<()> {
        /// Empties the buffer of what the back end had found.
        struct Empties<'e>(&'e mut Events);
        impl Drop for Empties<'_> {
            fn drop(&mut self) {
                self.0.ready.clear();
            }
        }
        let in_a_panic = Empties(events);
        let result = self.count_each_until(in_a_panic.0, until, each);
        mem::forget(in_a_panic);
        result.map(|_| ())
    }

    /// As [`select_each_until`](Self::select_each_until); returns how often it called `each`.
    pub(crate) fn count_each_until(
        &mut self,
        events: &mut Events,
        until: Until,
        mut each: impl FnMut(Key, &S, &mut D, Readiness),
    ) -> io::Result<usize> {
        let id = self.id;
        self.select_into(events, until, |_, token, entry, readiness| {
            let SelectorKey { source, data, .. } = &mut entry.key;
            each(Key::new(id, token), source, data, readiness);
        })
    }

    fn until(&self, timeout: Option<Duration>) -> Until {
        Until::after(timeout, || self.backend.now())
    }

    /// Waits until `found` was called with what is ready, a notifier was used or the time has
    /// come that `until` says. Returns how often it was called.
    #[inline]
    fn select_into(
        &mut self,
        events: &mut Events,
        mut until: Until,
        mut found: impl FnMut(&mut Batch<'_>, Token, &mut Entry<S, D>, Readiness),
    ) -> io::Result<usize> {
        events.begin(self.id, &self.liveness);
        if self.kernel_set == KernelSet::Incomplete {
            self.register_all_anew()?;
        }
        loop {
            events.ready.clear();
            events.read_after = None;
            match self.backend.wait(&mut events.ready, until) {
                Err(error) if self.goes_on_after(&error) => {
                    until = until.seen_at(|| self.backend.now());
                    continue;
                }
                Err(error) => {
                    events.ready.clear();
                    return Err(error);
                }
                Ok(()) => {}
            }
            let is_full = events.ready.is_full();
            let delivered = self.deliver(&mut events.ready, &mut found);
            if is_full {
                events.grow();
            }
            if delivered.events > 0 || events.is_notified() {
                return Ok(delivered.events);
            }
            if delivered.orphans && self.kernel_set == KernelSet::MayHaveOrphans {
                self.register_all_anew()?;
            }
            if !until.is_now() {
                until = until.seen_at(|| *events.read_after.insert(self.backend.now()));
            }
            if until.is_now() {
                return Ok(0);
            }
        }
    }

    fn goes_on_after(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::Interrupted && self.on_signal == OnSignal::Retry
    }

    /// Hands on what the back end found: tokens become entries, stale ones are dropped, and what
    /// is left is masked by the interest. `ready` holds then what `found` has added to the batch.
    #[inline]
    fn deliver(
        &mut self,
        ready: &mut ReadyList,
        found: &mut impl FnMut(&mut Batch<'_>, Token, &mut Entry<S, D>, Readiness),
    ) -> Delivered {
        let wait = WaitNumber(self.last_wait.0.saturating_add(1));
        self.last_wait = wait;
        let mut delivered = Delivered::default();
        let count = ready.len();
        let mut batch = Batch::new(ready.as_mut_slice());
        for index in 0..count {
            let (token, readiness) = batch.found(index);
            let Some(entry) = self.entries.get_mut(token.slot()) else {
                delivered.orphans = true;
                continue;
            };
            let readiness = readiness.masked_by(entry.key.interest);
            if readiness.is_empty() || !entry.may_fire_in(wait) {
                continue;
            }
            delivered.events += 1;
            found(&mut batch, token, entry, readiness);
        }
        let reported = batch.len();
        ready.truncate(reported);
        delivered
    }

    /// Rids the system's set of registrations that cannot be named any more.
    fn register_all_anew(&mut self) -> io::Result<()> {
        self.backend.reset()?;
        self.kernel_set = KernelSet::Incomplete;
        for (slot, entry) in self.entries.iter().filter(|(_, entry)| entry.fired_in.is_none()) {
            let SelectorKey { interest, mode, .. } = entry.key;
            // SAFETY: the entry is there, so its descriptor is open.
            match unsafe { self.backend.register(Token::of(slot), entry.fd, interest, mode) } {
                // Closed behind our back as well: silent from now on, as epoll has it.
                Err(error)
                    if error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error()) => {}
                result => result?,
            }
        }
        self.kernel_set = KernelSet::Exact;
        Ok(())
    }
}
