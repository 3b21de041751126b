//! Layer 2: who has made which open file non-blocking.
//! Limits: knows the sources of one runtime; a file that two runtimes share is given back by each.
//! Invariant: a file that was found blocking is blocking again once its last source has left.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::kind::FileId;
use super::source::State;
use crate::sys::{self, BorrowedFd, RawFd};

/// The descriptors of files that were found blocking.
///
/// The mode belongs to the open file description (open(2)), which several descriptors may share:
/// a terminal as standard input and output, the clones of a pipe.
#[derive(Default)]
pub(super) struct FoundBlocking {
    /// A list for each open file description.
    files: RefCell<HashMap<FileId, Vec<Vec<RawFd>>>>,
}

/// What is to become of the mode when a source leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// As it was found, unless another source shares the file.
    AsFound,
    /// As it was found; but a socket stays non-blocking, since clones of it may be in use.
    AsFoundUnlessSocket,
}

impl FoundBlocking {
    /// Makes a source's descriptor non-blocking.
    ///
    /// # Errors
    /// As fcntl(2) and fstat(2).
    pub(super) fn enter(&self, source: &State) -> io::Result<()> {
        let fd = source.descriptor();
        if fcntl_getfl(fd)?.contains(OFlags::NONBLOCK) {
            return self.enter_nonblocking(source);
        }
        let file = FileId::of(fd)?;
        set_nonblocking(fd, true)?;
        self.files.borrow_mut().entry(file).or_default().push(vec![source.fd()]);
        source.file().set(Some(file));
        Ok(())
    }

    /// As `enter`, for a source that is non-blocking: perhaps since another source here has
    /// made it so.
    ///
    /// # Errors
    /// As fstat(2).
    pub(super) fn enter_nonblocking(&self, source: &State) -> io::Result<()> {
        let mut files = self.files.borrow_mut();
        if files.is_empty() {
            return Ok(());
        }
        let fd = source.descriptor();
        let file = FileId::of(fd)?;
        let mut descriptions = files.get_mut(&file).into_iter().flatten();
        if let Some(sharers) = descriptions.find(|sharers| is_shared(fd, sharers)) {
            sharers.push(source.fd());
            source.file().set(Some(file));
        }
        Ok(())
    }

    /// A source leaves, whose descriptor is still open.
    pub(super) fn leave(&self, source: &State, how: Leave) {
        let Some(file) = source.file().take() else { return };
        let fd = source.fd();
        let mut files = self.files.borrow_mut();
        let Some(descriptions) = files.get_mut(&file) else { return };
        let Some(index) = descriptions.iter().position(|sharers| sharers.contains(&fd)) else {
            return;
        };
        let sharers = &mut descriptions[index];
        sharers.retain(|sharer| *sharer != fd);
        if sharers.is_empty() {
            descriptions.swap_remove(index);
            if how == Leave::AsFound || !source.kind().is_socket() {
                // Fails only if the descriptor was closed behind our back.
                let _ = set_nonblocking(source.descriptor(), false);
            }
        }
        if descriptions.is_empty() {
            files.remove(&file);
        }
    }
}

fn set_nonblocking(fd: BorrowedFd<'_>, wanted: bool) -> io::Result<()> {
    let mut flags = fcntl_getfl(fd)?;
    flags.set(OFlags::NONBLOCK, wanted);
    Ok(fcntl_setfl(fd, flags)?)
}

/// True if a non-blocking `fd` has its open file description in common with `others`, which are one
/// description's: what is changed in the one shows in the other.
fn is_shared(fd: BorrowedFd<'_>, others: &[RawFd]) -> bool {
    let Some(&other) = others.first() else { return false };
    if set_nonblocking(fd, false).is_err() {
        return false;
    }
    // SAFETY: `borrowed` needs an open descriptor: its source is registered here and has not left,
    // which it does before it is dropped. Who closes it all the same is answered by EBADF.
    let other = unsafe { sys::borrowed(other) };
    let seen = fcntl_getfl(other);
    // Cannot fail where the change before it did not.
    let _ = set_nonblocking(fd, true);
    seen.is_ok_and(|flags| !flags.contains(OFlags::NONBLOCK))
}
