//! Layer 1: a poller that has no descriptor, since it is the system call poll(2).
//! Invariant: the bell can be read while a notification has not been taken.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use polling::Poller;
use rustix::event::{PollFd, PollFlags};

use crate::sys::BorrowedFd;

pub(super) fn of(_poller: &Poller) -> Option<BorrowedFd<'_>> {
    None
}

/// What a notification is for a poll(2) beside the poller.
#[derive(Debug)]
pub(super) struct Bell(Arc<[UnixStream; 2]>);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        Ok(Self(Arc::new([near, far])))
    }

    pub(super) fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    pub(super) fn ring(&self) {
        // Fails only if it is full, and so rings.
        let _ = (&self.0[1]).write(&[0]);
    }

    pub(super) fn drain(&self) {
        // Fails only if it is empty.
        while matches!((&self.0[0]).read(&mut [0; 16]), Ok(1..)) {}
    }

    pub(super) fn poll_fd(&self) -> Option<PollFd<'_>> {
        Some(PollFd::new(&self.0[0], PollFlags::IN))
    }
}
