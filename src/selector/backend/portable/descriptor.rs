//! Layer 1: a poller that has a descriptor: epoll(7), kqueue(2), event ports.

mod as_fd;

use std::io;

use polling::Poller;
use rustix::event::PollFd;

use crate::sys::{AsFd, BorrowedFd};

/// Readable whenever the poller has something to report, a notification included.
#[expect(clippy::unnecessary_wraps, reason = "not every poller has one")]
pub(super) fn of(poller: &Poller) -> Option<BorrowedFd<'_>> {
    Some(poller.as_fd())
}

/// Nothing: a notification makes the poller's descriptor readable.
#[derive(Debug)]
pub(super) struct Bell;

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) fn share(&self) -> Self {
        Self
    }

    pub(super) fn ring(&self) {}

    pub(super) fn drain(&self) {}

    pub(super) fn poll_fd(&self) -> Option<PollFd<'_>> {
        None
    }
}
