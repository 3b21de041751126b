//! Layer 1: the poller's descriptor is that of the back end.

use super::super::PollingBackend;
use crate::sys::{AsFd, BorrowedFd};

impl AsFd for PollingBackend {
    /// Readable whenever a select would report something, a notification included.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.poller.as_fd()
    }
}
