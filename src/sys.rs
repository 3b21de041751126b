//! Layer 0: the system's descriptor types, for the rest of the crate.
//! Invariant: no other file names std's; a port to another system begins here.

pub(crate) use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A descriptor that outlives what it was borrowed from.
///
/// # Safety
/// `fd` is open, and is not closed while the result, or a copy of it, is in use.
#[inline]
pub(crate) unsafe fn borrowed(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: `borrow_raw` needs an open descriptor that is not -1; the caller promises that.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
