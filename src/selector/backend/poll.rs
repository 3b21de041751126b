//! Layer 1: poll(2), by level; oneshot is made of it.
//! Invariant: `fds` and `armed` run in parallel and hold the notifier and the *armed*
//! registrations; one that has fired, or whose descriptor is closed, leaves both, because poll(2)
//! reports a hang-up even where no event is asked for.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Timespec;
use rustix::io::fcntl_getfd;

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
    armed: Vec<Armed>,
    /// Where in `fds` a registration is, if it is armed.
    places: HashMap<Token, usize>,
    /// Where the next scan begins, so that a small [`ReadyList`] does not starve the rest.
    next: usize,
}

/// What belongs to an entry of `fds`.
#[derive(Clone, Copy, Debug)]
struct Armed {
    token: Token,
    mode: Mode,
}

impl PollBackend {
    fn arm(&mut self, token: Token, fd: BorrowedFd<'static>, interest: Interest, mode: Mode) {
        let asked = PollFlags::from_bits_retain(poll_bits::asked(interest) as _);
        let (entry, armed) = (PollFd::from_borrowed_fd(fd, asked), Armed { token, mode });
        let place = *self.places.entry(token).or_insert(self.fds.len());
        if place == self.fds.len() {
            self.fds.push(entry);
            self.armed.push(armed);
        } else {
            self.fds[place] = entry;
            self.armed[place] = armed;
        }
    }

    fn disarm(&mut self, token: Token) {
        let Some(place) = self.places.remove(&token) else { return };
        self.fds.swap_remove(place);
        self.armed.swap_remove(place);
        if let Some(moved) = self.armed.get(place) {
            self.places.insert(moved.token, place);
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
            let Armed { token, mode } = self.armed[index];
            if token == Token::RESERVED {
                ready.set_notified();
                continue;
            }
            ready.push(token, poll_bits::happened(poll_bits::bit(happened)));
            if mode == Mode::Oneshot || happened.contains(PollFlags::NVAL) {
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
            armed: vec![Armed { token: Token::RESERVED, mode: Mode::Level }],
            eventfd,
            places: HashMap::new(),
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
