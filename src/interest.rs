//! Layer 0: the two bit sets of the crate, what to watch for and what happened.
//! Invariant: the shared bits of [`Interest`] and [`Readiness`] have the same values, so that
//! masking one by the other is a single `and`; and these are those of poll(2), so that nothing has
//! to be translated for each event.

use bitflags::bitflags;

bitflags! {
    /// What to watch a source for: Python's `EVENT_READ | EVENT_WRITE`.
    ///
    /// ```
    /// use selkie::Interest;
    ///
    /// let both = Interest::READ | Interest::WRITE;
    /// assert!(both.contains(Interest::READ));
    /// assert_eq!(both - Interest::WRITE, Interest::READ);
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Interest: u8 {
        /// Bytes, a connection or end of file can be read without blocking.
        const READ = 0b001;
        /// Bytes can be written without blocking, or a connect has ended.
        const WRITE = 0b100;
        /// Exceptional data: TCP out-of-band bytes, a pty in packet mode, a sysfs attribute.
        ///
        /// Never part of [`Interest::READ`]: one unread out-of-band byte would make a level
        /// loop spin.
        const PRIORITY = 0b010;
    }
}

bitflags! {
    /// What happened to a source: the mask that Python's `select()` returns, and what the
    /// system adds to it.
    ///
    /// [`READ`], [`WRITE`] and [`PRIORITY`] are reported only where the interest asks for them.
    /// A hang-up or an error makes every direction of the interest ready, because the next
    /// system call in it will not block but tell what is wrong.
    ///
    /// `select(2)` alone tells a hang-up without an error to a READ interest only. That is news to
    /// a writer where there was no room and never will be: the read end of a pipe, a full socket
    /// that was shut down both ways.
    ///
    /// The other bits are hints that need no interest, but for a half-close, which shows only
    /// with a READ interest. They are *not* guaranteed: `select(2)` reports none of them and the
    /// `polling` crate reports no half-close. A loop that is right on every back end reads until
    /// `Ok(0)` or an error, and takes the hints as a short cut.
    ///
    /// [`READ`]: Readiness::READ
    /// [`WRITE`]: Readiness::WRITE
    /// [`PRIORITY`]: Readiness::PRIORITY
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Readiness: u8 {
        /// A read, or an accept, will not block.
        const READ = 0b001;
        /// A write will not block, or a connect has ended.
        const WRITE = 0b100;
        /// Exceptional data is there; see [`Interest::PRIORITY`].
        const PRIORITY = 0b010;
        /// No more bytes will arrive than those already here (`EPOLLRDHUP`, `EPOLLHUP`).
        const READ_CLOSED = 0b0000_1000;
        /// Nothing written will arrive any more (`EPOLLHUP`).
        const WRITE_CLOSED = 0b0001_0000;
        /// An error is pending (`EPOLLERR`); the next call in either direction returns it.
        const ERROR = 0b0010_0000;
    }
}

impl Readiness {
    /// Both directions and both closed bits: what `POLLHUP` means.
    pub(crate) const HANG_UP: Self =
        Self::READ.union(Self::WRITE).union(Self::READ_CLOSED).union(Self::WRITE_CLOSED);

    /// Both directions and the error bit: what `POLLERR` means.
    pub(crate) const FAILED: Self = Self::READ.union(Self::WRITE).union(Self::ERROR);

    /// True if a read will not block.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.contains(Self::READ)
    }

    /// True if a write will not block.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.contains(Self::WRITE)
    }

    /// What of this is to be reported to somebody who asked for `interest`: the directions that
    /// it names, and the hints.
    #[must_use]
    pub const fn masked_by(self, interest: Interest) -> Self {
        let hints = Self::READ_CLOSED.union(Self::WRITE_CLOSED).union(Self::ERROR).bits();
        Self::from_bits_retain(self.bits() & (interest.bits() | hints))
    }
}

impl From<Interest> for Readiness {
    fn from(interest: Interest) -> Self {
        Self::from_bits_truncate(interest.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_up_is_masked_by_the_interest_but_keeps_its_hints() {
        let seen = Readiness::HANG_UP.masked_by(Interest::READ);
        assert_eq!(seen, Readiness::READ | Readiness::READ_CLOSED | Readiness::WRITE_CLOSED);
        let failed = Readiness::FAILED.masked_by(Interest::PRIORITY);
        assert_eq!(failed, Readiness::ERROR);
    }

    #[test]
    fn only_a_direction_says_that_an_operation_will_not_block() {
        let told = |readiness: Readiness| (readiness.is_readable(), readiness.is_writable());
        assert_eq!(told(Readiness::READ), (true, false));
        assert_eq!(told(Readiness::WRITE), (false, true));
        let neither = Readiness::all() - Readiness::READ - Readiness::WRITE;
        assert_eq!(told(neither), (false, false));
    }

    #[test]
    fn every_interest_has_a_readiness_of_the_same_bits() {
        for interest in Interest::all() {
            assert_eq!(Readiness::from(interest).bits(), interest.bits());
        }
    }
}
