//! Layer 1: one registration in the poller, and what an event means to it.
//! Makes one system call: to ask whether there are bytes behind out-of-band data.

use polling::{Event, PollMode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::interest::{Interest, Readiness};
use crate::selector::backend::Token;
use crate::selector::key::Mode;
use crate::sys::BorrowedFd;

#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub(super) token: Token,
    pub(super) fd: BorrowedFd<'static>,
    pub(super) arming: Arming,
    pub(super) interest: Interest,
    pub(super) mode: Mode,
}

/// How a registration by level or oneshot is armed.
///
/// AsAsked ─wait, level→ AsAsked ─wait, oneshot→ Disarmed ─modify→ AsAsked;
/// AsAsked ─wait, only out-of-band data→ UntilChange or Beside ─wait→ AsAsked or Disarmed.
/// A poller with edges knows the descriptor in every state, one without in the first alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arming {
    AsAsked,
    /// Out-of-band data is pending, which the poller takes for readable: wait for the next
    /// change, as the level would never go away.
    UntilChange,
    /// Out-of-band data is pending, or is all that is asked for, and there are no edges: poll(2)
    /// is asked, which can tell it from bytes.
    Beside,
    Disarmed,
}

/// Who found something, and what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen {
    ByPoller(Event),
    ByPoll(PollFlags),
}

impl Watch {
    pub(super) fn new(
        token: Token,
        fd: BorrowedFd<'static>,
        interest: Interest,
        mode: Mode,
        has_edges: bool,
    ) -> Self {
        let mut watch = Self { token, fd, interest, mode, arming: Arming::AsAsked };
        watch.arming = watch.first_arming(has_edges);
        watch
    }

    /// A poller without edges asks for out-of-band data together with bytes, or not at all.
    pub(super) fn first_arming(&self, has_edges: bool) -> Arming {
        let asks = |interest| self.interest.contains(interest);
        if !has_edges && asks(Interest::PRIORITY) && !asks(Interest::READ) {
            Arming::Beside
        } else {
            Arming::AsAsked
        }
    }

    /// What the poller is asked for.
    pub(super) fn event(&self, key: usize) -> Event {
        if self.arming == Arming::Disarmed {
            return Event::none(key);
        }
        let [read, write, priority] = [Interest::READ, Interest::WRITE, Interest::PRIORITY]
            .map(|direction| self.interest.contains(direction));
        let event = Event::new(key, read, write);
        if priority { event.with_priority() } else { event }
    }

    pub(super) fn poll_mode(&self) -> PollMode {
        match (self.mode, self.arming) {
            (Mode::Edge, _) | (_, Arming::UntilChange) => PollMode::Edge,
            (Mode::Level | Mode::Oneshot, _) => PollMode::Oneshot,
        }
    }

    /// What poll(2) is asked for.
    pub(super) fn poll_flags(&self) -> PollFlags {
        const FLAGS: [(Interest, PollFlags); 3] = [
            (Interest::READ, PollFlags::IN),
            (Interest::WRITE, PollFlags::OUT),
            (Interest::PRIORITY, PollFlags::PRI),
        ];
        let asked = FLAGS.into_iter().filter(|(interest, _)| self.interest.contains(*interest));
        asked.fold(PollFlags::empty(), |flags, (_, flag)| flags | flag)
    }

    /// What was seen, masked by the interest.
    pub(super) fn happened(&self, seen: Seen) -> Readiness {
        let mut readiness = Readiness::empty();
        let (hang_up, failed) = match seen {
            Seen::ByPoller(event) => {
                let reads = event.readable && (!event.is_priority() || self.has_bytes());
                readiness.set(Readiness::READ, reads);
                readiness.set(Readiness::WRITE, event.writable);
                readiness.set(Readiness::PRIORITY, event.is_priority());
                (event.is_interrupt(), event.is_err() == Some(true))
            }
            Seen::ByPoll(flags) => {
                readiness.set(Readiness::READ, flags.contains(PollFlags::IN));
                readiness.set(Readiness::WRITE, flags.contains(PollFlags::OUT));
                readiness.set(Readiness::PRIORITY, flags.contains(PollFlags::PRI));
                (flags.contains(PollFlags::HUP), flags.contains(PollFlags::ERR))
            }
        };
        if hang_up {
            readiness |= Readiness::HANG_UP;
        }
        if failed {
            readiness |= Readiness::FAILED;
        }
        readiness.masked_by(self.interest)
    }

    /// How to arm what was `seen`, which means `happened`; `None`: it is armed.
    pub(super) fn next_arming(
        &self,
        seen: Seen,
        happened: Readiness,
        has_edges: bool,
    ) -> Option<Arming> {
        Some(match self.mode {
            Mode::Edge => return None,
            // poll(2) alone reports at all, and as nothing, what was closed behind our back.
            _ if happened.is_empty() && !has_edges && is_nothing(seen) => Arming::Disarmed,
            _ if happened.is_empty() && has_edges => Arming::UntilChange,
            _ if happened.is_empty() => Arming::Beside,
            Mode::Level => self.first_arming(has_edges),
            Mode::Oneshot => Arming::Disarmed,
        })
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

fn is_nothing(seen: Seen) -> bool {
    match seen {
        Seen::ByPoller(event) => !event.readable && !event.writable && !event.is_priority(),
        Seen::ByPoll(flags) => flags.contains(PollFlags::NVAL),
    }
}
