//! Layer 1: the event bits that poll(2) and epoll(7) share.
//! Imports `interest`. Invariant: READ asks for the half-close too, and never for out-of-band
//! data.

use rustix::event::PollFlags;

use crate::interest::{Interest, Readiness};

/// The bits of poll(2) flags, which are a `short`, signed in the C library.
pub(super) const fn bit(flags: PollFlags) -> u32 {
    flags.bits() as u32
}

/// What to ask the system for. Linux gives `EPOLLIN` and its kin the values of `POLLIN` and its
/// kin (include/uapi/linux/eventpoll.h).
pub(super) fn asked(interest: Interest) -> u32 {
    [
        (Interest::READ, bit(PollFlags::IN) | bit(PollFlags::RDHUP)),
        (Interest::WRITE, bit(PollFlags::OUT)),
        (Interest::PRIORITY, bit(PollFlags::PRI)),
    ]
    .into_iter()
    .filter(|(asked, _)| interest.contains(*asked))
    .fold(0, |bits, (_, more)| bits | more)
}

/// What the system's answer means.
#[inline]
pub(super) fn happened(bits: u32) -> Readiness {
    let mut readiness = Readiness::empty();
    readiness.set(Readiness::READ, bits & bit(PollFlags::IN) != 0);
    readiness.set(Readiness::WRITE, bits & bit(PollFlags::OUT) != 0);
    if bits & !(bit(PollFlags::IN) | bit(PollFlags::OUT)) != 0 {
        readiness |= happened_besides(bits);
    }
    readiness
}

/// The rarer news.
fn happened_besides(bits: u32) -> Readiness {
    const MEANINGS: [(u32, Readiness); 5] = [
        (bit(PollFlags::PRI), Readiness::PRIORITY),
        (bit(PollFlags::RDHUP), Readiness::READ.union(Readiness::READ_CLOSED)),
        (bit(PollFlags::HUP), Readiness::HANG_UP),
        (bit(PollFlags::ERR), Readiness::FAILED),
        (bit(PollFlags::NVAL), Readiness::FAILED),
    ];
    let meant = MEANINGS.into_iter().filter(|(bit, _)| bits & bit != 0);
    meant.fold(Readiness::empty(), |readiness, (_, meaning)| readiness | meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::epoll::EventFlags;

    #[test]
    fn epoll_and_poll_agree_on_the_bits() {
        for (poll, epoll) in [
            (PollFlags::IN, EventFlags::IN),
            (PollFlags::OUT, EventFlags::OUT),
            (PollFlags::PRI, EventFlags::PRI),
            (PollFlags::RDHUP, EventFlags::RDHUP),
            (PollFlags::HUP, EventFlags::HUP),
            (PollFlags::ERR, EventFlags::ERR),
        ] {
            assert_eq!(bit(poll), epoll.bits());
        }
    }

    #[test]
    fn a_read_interest_does_not_ask_for_out_of_band_data() {
        assert_eq!(asked(Interest::READ) & bit(PollFlags::PRI), 0);
        assert_eq!(happened(bit(PollFlags::PRI)).masked_by(Interest::READ), Readiness::empty());
    }
}
