//! Layer 1: poll(2), by level; oneshot is made of it.
//! Imports `eventfd` and `poll_bits`. Invariant: `fds` and `tokens` run in parallel and hold the
//! notifier and the *armed* registrations; one that has fired, or whose descriptor is closed,
//! leaves both, because poll(2) reports a hang-up even where no event is asked for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Timespec;
use rustix::io::fcntl_getfd;
use slotmap::SecondaryMap;

use super::eventfd::EventFd;
use super::{Backend, Open, ReadyList, Token, poll_bits};
use crate::interest::Interest;
use crate::selector::key::Mode;
use crate::selector::notifier::Notifier;
use crate::selector::until::Until;
use crate::sys::{AsFd, AsRawFd, BorrowedFd, borrowed};

/// The back end on poll(2): level and oneshot; nanosecond timeouts; the cost of a wait grows
/// with the number of registrations.
///
/// A descriptor that was closed behind the selector's back is reported once, with
/// [`Readiness::ERROR`](crate::Readiness::ERROR), and not watched any longer.
#[derive(Debug)]
pub struct PollBackend {
    eventfd: Arc<EventFd>,
    fds: Vec<PollFd<'static>>,
    tokens: Vec<Token>,
    watches: SecondaryMap<slotmap::DefaultKey, Watch>,
    /// Where the next scan begins, so that a small [`ReadyList`] does not starve the rest.
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    mode: Mode,
    /// Where in `fds` it is, while it is armed.
    armed_at: Option<usize>,
}

impl PollBackend {
    fn arm(&mut self, token: Token, fd: BorrowedFd<'static>, interest: Interest, mode: Mode) {
        let asked = PollFlags::from_bits_retain(poll_bits::asked(interest) as _);
        let entry = PollFd::from_borrowed_fd(fd, asked);
        let armed_at = self.watches.get(token.slot()).and_then(|watch| watch.armed_at);
        let index = armed_at.unwrap_or(self.fds.len());
        if index == self.fds.len() {
            self.fds.push(entry);
            self.tokens.push(token);
        } else {
            self.fds[index] = entry;
        }
        self.watches.insert(token.slot(), Watch { mode, armed_at: Some(index) });
    }

    fn disarm(&mut self, token: Token) {
        let Some(watch) = self.watches.get_mut(token.slot()) else { return };
        let Some(index) = watch.armed_at.take() else { return };
        self.fds.swap_remove(index);
        self.tokens.swap_remove(index);
        if let Some(moved) = self.tokens.get(index)
            && let Some(watch) = self.watches.get_mut(moved.slot())
        {
            watch.armed_at = Some(index);
        }
    }

    /// Takes up to a list full of what the last poll(2) found, beginning behind the last one
    /// taken. Returns those that must not be asked for again.
    fn collect(&mut self, ready: &mut ReadyList, mut found: usize) -> Vec<Token> {
        let mut spent = Vec::new();
        let count = self.fds.len();
        for step in 0..count {
            if found == 0 || ready.is_full() {
                break;
            }
            let index = (self.next + step) % count;
            let happened = self.fds[index].revents();
            if happened.is_empty() {
                continue;
            }
            found -= 1;
            let token = self.tokens[index];
            if token == Token::RESERVED {
                ready.set_notified();
                continue;
            }
            ready.push(token, poll_bits::happened(poll_bits::bit(happened)));
            let oneshot = self.watches.get(token.slot()).is_some_and(|w| w.mode == Mode::Oneshot);
            if oneshot || happened.contains(PollFlags::NVAL) {
                spent.push(token);
            }
            if ready.is_full() {
                self.next = index + 1;
            }
        }
        spent
    }
}

impl Open for PollBackend {
    fn open() -> io::Result<Self> {
        let eventfd = EventFd::new()?;
        // SAFETY: `eventfd` is kept as long as `fds` are, and never replaced.
        let notifier = unsafe { borrowed(eventfd.as_fd().as_raw_fd()) };
        Ok(Self {
            fds: vec![PollFd::from_borrowed_fd(notifier, PollFlags::IN)],
            tokens: vec![Token::RESERVED],
            eventfd,
            watches: SecondaryMap::new(),
            next: 0,
        })
    }
}

impl Backend for PollBackend {
    fn name(&self) -> &'static str {
        "poll"
    }

    fn supports(&self, mode: Mode) -> bool {
        mode != Mode::Edge
    }

    fn reports_read_closed(&self) -> bool {
        true
    }

    unsafe fn register(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        fcntl_getfd(fd)?;
        // SAFETY: the caller promises that `fd` stays open until `unregister`, where it leaves
        // `fds`, unless it has left them before.
        let fd = unsafe { borrowed(fd.as_raw_fd()) };
        self.arm(token, fd, interest, mode);
        Ok(())
    }

    unsafe fn modify(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        // SAFETY: the caller's promise is the same.
        unsafe { self.register(token, fd, interest, mode) }
    }

    fn unregister(&mut self, token: Token, _fd: BorrowedFd<'_>) -> io::Result<()> {
        self.disarm(token);
        self.watches.remove(token.slot());
        Ok(())
    }

    fn wait(&mut self, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        let timeout = until.timeout().map(timespec);
        let found = poll(&mut self.fds, timeout.as_ref())?;
        let spent = self.collect(ready, found);
        spent.into_iter().for_each(|token| self.disarm(token));
        if ready.is_notified() {
            self.eventfd.drain();
        }
        Ok(())
    }

    fn notifier(&self) -> Notifier {
        self.eventfd.notifier()
    }
}

/// The timeout as the kernel wants it; what lies beyond its range is its range's end.
pub(super) fn timespec(timeout: Duration) -> Timespec {
    Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 })
}
