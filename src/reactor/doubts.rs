//! Layer 2: why a short read may leave something to read that no event will tell of.
//! Invariant: what was seen of a stream's end or mark is never forgotten.

use std::cell::Cell;

use bitflags::bitflags;

use crate::interest::Readiness;

bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Flags: u8 {
        /// The source is not watched by edges, or these do not tell of an end of file.
        const NO_EDGES = 0b0001;
        /// The end of file was announced, which comes without another edge, or an out-of-band
        /// mark, at which reads stop short.
        const END_OR_MARK = 0b0010;
        /// The program has had the source in its hands since the last event: it may have taken
        /// out-of-band data before the event that tells of the mark.
        const LENT = 0b0100;
        /// It had, before an event, and no read has found the stream empty since: then it would
        /// be past the mark.
        const WAS_LENT = 0b1000;
        /// No doubt: somebody has asked for out-of-band data, so that each event is to be looked
        /// at.
        const WANTS_PRIORITY = 0b1_0000;
    }
}

/// After these a short read is no sign of what there is to read.
const END_OR_MARK: Readiness =
    Readiness::READ_CLOSED.union(Readiness::WRITE_CLOSED).union(Readiness::PRIORITY);

/// What is to be thought of a short read.
pub(super) struct Doubts(Cell<Flags>);

impl Doubts {
    /// Of a source that is watched by edges, and that a stream has ended is among them; or not.
    pub(super) fn new(edges_tell_the_end: bool) -> Self {
        Self(Cell::new(if edges_tell_the_end { Flags::empty() } else { Flags::NO_EDGES }))
    }

    pub(super) fn has_edges(&self) -> bool {
        !self.0.get().contains(Flags::NO_EDGES)
    }

    /// True if a short read leaves the source with nothing to read until the next event.
    #[inline]
    pub(super) fn short_read_drains(&self) -> bool {
        (self.0.get() - Flags::WANTS_PRIORITY).is_empty()
    }

    /// True unless this event can be taken as it is.
    #[inline]
    pub(super) fn concern(&self, readiness: Readiness) -> bool {
        readiness.intersects(END_OR_MARK) || !self.0.get().is_empty()
    }

    /// Takes an event in. True if it is to be told to those who wait for out-of-band data.
    pub(super) fn take_in(&self, readiness: Readiness) -> bool {
        let mut flags = self.0.get();
        if flags.contains(Flags::LENT) {
            flags.insert(Flags::WAS_LENT);
            flags.remove(Flags::LENT);
        }
        if readiness.intersects(END_OR_MARK) {
            flags.insert(Flags::END_OR_MARK);
        }
        self.0.set(flags);
        let tells = readiness.intersects(END_OR_MARK | Readiness::ERROR);
        tells && flags.contains(Flags::WANTS_PRIORITY)
    }

    /// The program gets the source into its hands, to do with it what it likes.
    #[inline]
    pub(super) fn lend(&self) {
        self.0.set(self.0.get() | Flags::LENT);
    }

    /// True if the stream may stand at an out-of-band mark, as far as is known.
    pub(super) fn may_be_at_mark(&self) -> bool {
        let marks = Flags::END_OR_MARK | Flags::LENT | Flags::WAS_LENT;
        self.has_edges() && self.0.get().intersects(marks)
    }

    /// A read has found the stream empty.
    #[inline]
    pub(super) fn found_empty(&self) {
        self.0.set(self.0.get() - Flags::WAS_LENT);
    }

    /// From now on somebody may wait for out-of-band data.
    pub(super) fn want_priority(&self) {
        self.0.set(self.0.get() | Flags::WANTS_PRIORITY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_close_or_urgent_data_ends_the_short_cut_for_ever() {
        for hint in [Readiness::READ_CLOSED, Readiness::PRIORITY] {
            let doubts = Doubts::new(true);
            doubts.take_in(Readiness::READ);
            assert!(doubts.short_read_drains());
            doubts.take_in(Readiness::READ | hint);
            doubts.take_in(Readiness::READ);
            doubts.found_empty();
            assert!(!doubts.short_read_drains());
        }
    }

    #[test]
    fn a_source_that_was_lent_is_trusted_again_when_it_was_found_empty_after_an_event() {
        let doubts = Doubts::new(true);
        doubts.lend();
        doubts.found_empty();
        assert!(!doubts.short_read_drains());
        // One event may be told in parts, and twice.
        for part in [Readiness::WRITE, Readiness::READ, Readiness::READ] {
            doubts.take_in(part);
            assert!(!doubts.short_read_drains());
        }
        doubts.found_empty();
        assert!(doubts.short_read_drains());
    }

    #[test]
    fn without_edges_a_short_read_never_drains() {
        let doubts = Doubts::new(false);
        doubts.take_in(Readiness::READ);
        doubts.found_empty();
        assert!(!doubts.short_read_drains() && !doubts.has_edges());
    }
}
