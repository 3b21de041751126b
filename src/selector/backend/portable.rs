//! Layer 1: the `polling` crate, for systems that have no back end of their own here.
//! Imports nothing but its siblings' types. Invariant: what is registered in the poller by level
//! is armed there as oneshot and armed again before `wait` returns, so that a registration whose
//! descriptor was closed too early can fire once at most, not for ever.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use polling::{Event, PollMode, Poller};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Backend, Open, ReadyList, Token};
use crate::interest::{Interest, Readiness};
use crate::selector::key::Mode;
use crate::selector::notifier::Notifier;
use crate::selector::until::Until;
use crate::sys::{AsFd, AsRawFd, BorrowedFd, borrowed};

/// The back end on the `polling` crate, which has one for every Unix: level and oneshot, edge
/// where the system has it. It reports a hang-up but no half-close.
///
/// The only back end outside Linux, where selkie is not tested; on Linux, where it is, it costs
/// five system calls a wait and one for each event by level.
#[derive(Debug)]
pub struct PollingBackend {
    poller: Arc<Poller>,
    notified: Arc<AtomicBool>,
    events: polling::Events,
    watches: HashMap<usize, Watch>,
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    token: Token,
    fd: BorrowedFd<'static>,
    interest: Interest,
    mode: Mode,
    arming: Arming,
}

/// How a registration by level or oneshot is armed in the poller.
///
/// AsAsked ─wait, level→ AsAsked ─wait, oneshot→ Disarmed ─modify→ AsAsked;
/// AsAsked ─wait, only out-of-band data→ UntilChange ─wait→ AsAsked or Disarmed
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arming {
    AsAsked,
    /// Out-of-band data is pending, which the poller takes for readable: wait for the next
    /// change, as the level would never go away.
    UntilChange,
    Disarmed,
}

impl Watch {
    fn new(token: Token, fd: BorrowedFd<'static>, interest: Interest, mode: Mode) -> Self {
        Self { token, fd, interest, mode, arming: Arming::AsAsked }
    }

    fn event(&self) -> Event {
        let key = poller_key(self.token);
        if self.arming == Arming::Disarmed {
            return Event::none(key);
        }
        let [read, write, priority] = [Interest::READ, Interest::WRITE, Interest::PRIORITY]
            .map(|d| self.interest.contains(d));
        let event = Event::new(key, read, write);
        if priority { event.with_priority() } else { event }
    }

    fn poll_mode(&self) -> PollMode {
        match (self.mode, self.arming) {
            (Mode::Edge, _) | (_, Arming::UntilChange) => PollMode::Edge,
            (Mode::Level | Mode::Oneshot, _) => PollMode::Oneshot,
        }
    }

    /// What an event of the poller says, masked by the interest.
    fn happened(&self, event: Event) -> Readiness {
        let mut readiness = Readiness::empty();
        readiness.set(Readiness::WRITE, event.writable);
        readiness.set(Readiness::PRIORITY, event.is_priority());
        if event.is_interrupt() {
            readiness |= Readiness::HANG_UP;
        }
        if event.is_err() == Some(true) {
            readiness |= Readiness::FAILED;
        }
        if event.readable && (!event.is_priority() || self.has_bytes()) {
            readiness |= Readiness::READ;
        }
        readiness.masked_by(self.interest)
    }

    /// Arms anew what has just fired with `readiness`, as its mode wants it.
    fn go_on(&mut self, poller: &Poller, readiness: Readiness) {
        let before = self.arming;
        self.arming = match self.mode {
            Mode::Edge => return,
            _ if readiness.is_empty() => Arming::UntilChange,
            Mode::Level => Arming::AsAsked,
            Mode::Oneshot => Arming::Disarmed,
        };
        let as_it_is = matches!(
            (before, self.arming),
            (Arming::UntilChange, Arming::UntilChange) | (Arming::AsAsked, Arming::Disarmed)
        );
        if !as_it_is {
            // Fails only if the descriptor was closed behind our back; then it has nothing more
            // to report, and the events at hand must not be lost for it.
            let _ = poller.modify_with_mode(self.fd, self.event(), self.poll_mode());
        }
    }

    /// True if a read would not block: the question that the poller's flags cannot answer while
    /// out-of-band data is pending.
    fn has_bytes(&self) -> bool {
        let mut fd = [PollFd::from_borrowed_fd(self.fd, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A number that was closed behind our back has none; poll(2) "finds" it all the same.
        poll(&mut fd, Some(&at_once)).is_ok() && fd[0].revents().contains(PollFlags::IN)
    }
}

impl Open for PollingBackend {
    fn open() -> io::Result<Self> {
        Ok(Self {
            poller: Arc::new(Poller::new()?),
            notified: Arc::new(AtomicBool::new(false)),
            events: polling::Events::new(),
            watches: HashMap::new(),
        })
    }
}

impl Backend for PollingBackend {
    fn name(&self) -> &'static str {
        "polling"
    }

    fn supports(&self, mode: Mode) -> bool {
        mode != Mode::Edge || self.poller.supports_edge()
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
        let watch = Watch::new(token, fd, interest, mode);
        // SAFETY: `add` needs a descriptor that stays open until `delete`: it does until
        // `unregister` has returned, which deletes it.
        let added = unsafe { self.poller.add_with_mode(&fd, watch.event(), watch.poll_mode()) };
        match added {
            // The selector knows of no registration, so it is one whose descriptor was closed
            // too early and has come back by a duplicate: take it over.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.poller.modify_with_mode(fd, watch.event(), watch.poll_mode())?;
            }
            result => result?,
        }
        self.watches.insert(poller_key(token), watch);
        Ok(())
    }

    unsafe fn modify(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        // SAFETY: as for `register`.
        let fd = unsafe { borrowed(fd.as_raw_fd()) };
        let watch = Watch::new(token, fd, interest, mode);
        self.poller.modify_with_mode(fd, watch.event(), watch.poll_mode())?;
        self.watches.insert(poller_key(token), watch);
        Ok(())
    }

    fn unregister(&mut self, token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.watches.remove(&poller_key(token));
        self.poller.delete(fd)
    }

    fn wait(&mut self, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        self.room_for(ready.capacity());
        self.events.clear();
        self.poller.wait(&mut self.events, until.timeout())?;
        if self.notified.swap(false, Ordering::AcqRel) {
            ready.set_notified();
        }
        for event in self.events.iter() {
            let Some(watch) = self.watches.get_mut(&event.key) else { continue };
            if watch.arming == Arming::Disarmed {
                continue;
            }
            let readiness = watch.happened(event);
            if !readiness.is_empty() {
                ready.push(watch.token, readiness);
            }
            watch.go_on(&self.poller, readiness);
        }
        Ok(())
    }

    fn notifier(&self) -> Notifier {
        let (poller, notified) = (Arc::clone(&self.poller), Arc::clone(&self.notified));
        Notifier::new(move || {
            notified.store(true, Ordering::Release);
            poller.notify()
        })
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

impl PollingBackend {
    fn room_for(&mut self, capacity: NonZeroUsize) {
        if self.events.capacity() != capacity {
            self.events = polling::Events::with_capacity(capacity);
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
impl AsFd for PollingBackend {
    /// Readable whenever a select would report something, a notification included.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

/// The poller's name for a registration. On 64-bit systems all of the token; on 32-bit systems
/// its slot, so that a late event of a reused slot is spurious there.
fn poller_key(token: Token) -> usize {
    token.to_bits() as usize
}
