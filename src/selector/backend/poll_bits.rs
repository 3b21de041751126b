//! Layer 1: the event bits that poll(2) and epoll(7) share.
//! Invariant: READ asks for the half-close too, and never for out-of-band data.

use rustix::event::PollFlags;

use crate::interest::{Interest, Readiness};

/// The bits of poll(2) flags, which are a `short`, signed in the C library.
pub(super) const fn bit(flags: PollFlags) -> u32 {
    flags.bits() as u32
}

/// The directions of an [`Interest`] and a [`Readiness`], which have poll(2)'s own bits.
const DIRECTIONS: u32 = bit(PollFlags::IN) | bit(PollFlags::OUT) | bit(PollFlags::PRI);

/// What to ask the system for. Linux gives `EPOLLIN` and its kin the values of `POLLIN` and its
/// kin (include/uapi/linux/eventpoll.h).
pub(super) fn asked(interest: Interest) -> u32 {
    let besides = if interest.contains(Interest::READ) { bit(PollFlags::RDHUP) } else { 0 };
    (u32::from(interest.bits()) & DIRECTIONS) | besides
}

/// What the system's answer means.
#[inline]
pub(super) fn happened(bits: u32) -> Readiness {
    let directions = Readiness::from_bits_retain((bits & DIRECTIONS) as u8);
    if bits & !DIRECTIONS == 0 { directions } else { directions | happened_besides(bits) }
}

/// The rarer news.
fn happened_besides(bits: u32) -> Readiness {
    const MEANINGS: [(u32, Readiness); 4] = [
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
    fn the_directions_have_the_bits_of_poll() {
        for (interest, flags) in [
            (Interest::READ, PollFlags::IN),
            (Interest::WRITE, PollFlags::OUT),
            (Interest::PRIORITY, PollFlags::PRI),
        ] {
            assert_eq!(u32::from(interest.bits()), bit(flags));
            assert_eq!(happened(bit(flags)), interest.into());
        }
    }

    #[test]
    fn a_read_interest_does_not_ask_for_out_of_band_data() {
        assert_eq!(asked(Interest::READ) & bit(PollFlags::PRI), 0);
        assert_eq!(happened(bit(PollFlags::PRI)).masked_by(Interest::READ), Readiness::empty());
    }
}
