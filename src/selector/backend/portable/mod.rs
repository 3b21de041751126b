//! Layer 1: the `polling` crate, for systems that have no back end of their own here.
//! Invariant: what is registered by level is armed in the poller as oneshot, and armed again before
//! `wait` returns; so what was closed too early can fire once at most, not for ever.

mod beside;
#[cfg_attr(
    not(all(
        any(
            target_os = "linux",
            target_os = "android",
            target_os = "illumos",
            target_os = "solaris",
            target_vendor = "apple",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd",
            target_os = "dragonfly",
        ),
        not(polling_test_poll_backend)
    )),
    path = "no_descriptor.rs"
)]
mod descriptor;
mod set;
mod watch;

use std::collections::HashMap;
use std::io;
use std::mem;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use polling::Poller;

use self::descriptor::Bell;
use self::set::{Has, PollerSet};
use self::watch::{Arming, Seen, Watch};
use super::{Backend, OnSignal, Open, ReadyList, Token};
use crate::interest::Interest;
use crate::selector::key::Mode;
use crate::selector::notifier::Notifier;
use crate::selector::until::Until;
use crate::sys::{AsRawFd, BorrowedFd, borrowed};

/// The back end on the `polling` crate, which has one for every Unix: level and oneshot, edge
/// where the system has it. It reports a hang-up but no half-close.
///
/// The only back end outside Linux, where selkie is not tested; on Linux, where it is, it costs
/// five system calls a wait and one for each event by level. With [`OnSignal::Return`] it costs one
/// more for a wait that blocks, since the crate itself goes on after a signal.
///
/// Where the poller has no edges (event ports, poll(2)), what it cannot express is asked for by
/// poll(2) beside it: to be told of bytes, but not of out-of-band data before them; and the other
/// way round. There the [`descriptor`](Backend::descriptor), if any, does not tell of such a source.
#[derive(Debug)]
pub struct PollingBackend {
    set: PollerSet,
    notified: Arc<AtomicBool>,
    /// Wakes a poll(2), where the poller has no descriptor for that.
    bell: Bell,
    on_signal: OnSignal,
    watches: HashMap<usize, Watch>,
    /// The poller's names for the registrations: a `usize`, which need not have room for a token.
    keys: HashMap<Token, usize>,
    last_key: usize,
    /// Scratch: what the poller has found.
    events: polling::Events,
    /// Scratch: what was found by whomever, and by which key.
    found: Vec<(usize, Seen)>,
    /// Whom the last batch had room for last, if it had not for all.
    last_told: usize,
}

impl PollingBackend {
    /// A name that no registration has.
    fn new_key(&mut self) -> usize {
        loop {
            self.last_key = self.last_key.wrapping_add(1);
            // The poller's own name.
            if self.last_key != usize::MAX && !self.watches.contains_key(&self.last_key) {
                return self.last_key;
            }
        }
    }

    /// Waits by the poller, unless something is found beside it, into `found`.
    fn find(&mut self, room: NonZeroUsize, until: Until) -> io::Result<()> {
        let mut until = until;
        if self.set.beside > 0 || self.on_signal == OnSignal::Return && !until.is_now() {
            if !self.find_beside(until)? {
                return Ok(());
            }
            until = Until::Now;
        }
        self.make_room(room);
        match self.set.poller.wait(&mut self.events, until.timeout()) {
            // A notification whose byte is still on its way through the poller's pipe.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => drop(result?),
        }
        self.found.extend(self.events.iter().map(|event| (event.key, Seen::ByPoller(event))));
        Ok(())
    }

    /// Empties the poller's list, and gives it room for all watches, but for no more than `most`.
    fn make_room(&mut self, most: NonZeroUsize) {
        // Beside the watches, the poller's own timer and notifier; and what is needed at most often.
        let wanted = self.watches.len().saturating_add(2).next_power_of_two();
        let wanted = NonZeroUsize::new(wanted).map_or(most, |wanted| wanted.min(most));
        let has = self.events.capacity();
        if has < wanted || has > most || has.get() / 4 > wanted.get() {
            self.events = polling::Events::with_capacity(wanted);
        } else {
            self.events.clear();
        }
    }

    /// Pushes what was found and arms it anew, as its mode wants it. That fails only if the descriptor
    /// was closed behind our back; then it has nothing more to report, and the events at hand must not
    /// be lost for it.
    fn tell(&mut self, ready: &mut ReadyList, found: &[(usize, Seen)]) {
        for &(key, seen) in found {
            let Some(watch) = self.watches.get_mut(&key) else { continue };
            if watch.arming == Arming::Disarmed {
                continue;
            }
            if ready.is_full() {
                // It was not told, so it is still to be told.
                let arming = watch.arming;
                let _ = self.set.arm(key, watch, arming, Has::Nothing);
                continue;
            }
            let happened = watch.happened(seen);
            if !happened.is_empty() {
                ready.push(watch.token, happened);
                self.last_told = key;
            }
            if let Some(arming) = watch.next_arming(seen, happened, self.set.has_edges) {
                let _ = self.set.arm(key, watch, arming, Has::Fired);
            }
        }
    }
}

impl Open for PollingBackend {
    fn open() -> io::Result<Self> {
        Ok(Self {
            set: PollerSet::new(Poller::new()?),
            notified: Arc::new(AtomicBool::new(false)),
            bell: Bell::new()?,
            on_signal: OnSignal::Retry,
            watches: HashMap::new(),
            keys: HashMap::new(),
            last_key: 0,
            events: polling::Events::with_capacity(NonZeroUsize::MIN),
            found: Vec::new(),
            last_told: 0,
        })
    }
}

impl Backend for PollingBackend {
    fn name(&self) -> &'static str {
        "polling"
    }

    fn supports(&self, mode: Mode) -> bool {
        mode != Mode::Edge || self.set.has_edges
    }

    unsafe fn register(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        // SAFETY: the caller promises that `fd` stays open until `unregister`, where the watch
        // goes.
        let fd = unsafe { borrowed(fd.as_raw_fd()) };
        self.set.check(fd)?;
        let watch = Watch::new(token, fd, interest, mode, self.set.has_edges);
        let key = self.new_key();
        self.set.add(key, &watch)?;
        self.watches.insert(key, watch);
        // Where the system had lost it, the selector registers it once more.
        if let Some(lost) = self.keys.insert(token, key).and_then(|key| self.watches.remove(&key)) {
            self.set.forget(&lost);
        }
        Ok(())
    }

    unsafe fn modify(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.set.check(fd)?;
        let Some((key, watch)) = self
            .keys
            .get(&token)
            .and_then(|key| self.watches.get_mut(key).map(|watch| (*key, watch)))
        else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut changed = Watch { interest, mode, ..*watch };
        let arming = changed.first_arming(self.set.has_edges);
        self.set.arm(key, &mut changed, arming, Has::Nothing)?;
        *watch = changed;
        Ok(())
    }

    fn unregister(&mut self, token: Token, _fd: BorrowedFd<'_>) -> io::Result<()> {
        let Some(watch) = self.keys.remove(&token).and_then(|key| self.watches.remove(&key)) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        self.set.remove(&watch)
    }

    fn wait(&mut self, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        self.found.clear();
        self.find(ready.capacity(), until)?;
        // In this order: a bell that rings in between ends the next wait for nothing, but is heard.
        self.bell.drain();
        if self.notified.swap(false, Ordering::AcqRel) {
            ready.set_notified();
        }
        let mut found = mem::take(&mut self.found);
        if found.len() > ready.capacity().get() {
            // poll(2) tells all, in any order: go on behind whom the last batch ended with.
            found.sort_unstable_by_key(|(key, _)| *key);
            let first = found.partition_point(|(key, _)| *key <= self.last_told);
            found.rotate_left(first);
        }
        self.tell(ready, &found);
        self.found = found;
        Ok(())
    }

    fn on_signal(&mut self, then: OnSignal) {
        self.on_signal = then;
    }

    fn notifier(&self) -> Notifier {
        let (poller, notified) = (Arc::clone(&self.set.poller), Arc::clone(&self.notified));
        let bell = self.bell.share();
        Notifier::new(move || {
            if notified.swap(true, Ordering::AcqRel) {
                return Ok(());
            }
            bell.ring();
            poller.notify().inspect_err(|_| notified.store(false, Ordering::Release))
        })
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        descriptor::of(&self.set.poller)
    }
}
