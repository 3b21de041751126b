//! Layer 6: what becomes of a child that nobody waits for any more.
//! Invariant: one that was killed is waited for, if need be by blocking the thread: it cannot
//! refuse to end, so that takes as long as the system needs to take it down.

use std::io;

use super::watched::Watched;
use crate::io::Async;
use crate::runtime::Remote;
use crate::sys::{AsFd, BorrowedFd};

/// A child without a [`Child`](super::Child).
pub(super) struct Orphan {
    watched: Watched,
    was_killed: bool,
}

impl Orphan {
    pub(super) fn new(watched: Watched, was_killed: bool) -> Self {
        Self { watched, was_killed }
    }

    /// Has the runtime wait for it, if it is not over yet.
    pub(super) fn leave_to(self, runtime: &Remote) {
        if self.watched.try_wait().is_ok_and(|status| status.is_none()) {
            // If the runtime is gone, this is dropped, and with it the child.
            if let Ok(task) = runtime.spawn(move || self.reap()) {
                task.detach();
            }
        }
    }

    async fn reap(self) {
        // An error gives the child back, and drops it.
        if let Ok(io) = Async::new_nonblocking(self) {
            let ended = |orphan: &Self| match orphan.watched.try_wait() {
                Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
                _over => Ok(()),
            };
            // Fails only with the runtime.
            let _ = io.read_with(ended).await;
        }
    }
}

impl AsFd for Orphan {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watched.as_fd()
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if self.was_killed {
            // Returns at once if that has been done.
            self.watched.wait_blocking();
        }
    }
}
