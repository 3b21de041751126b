//! What a liar's descriptor is: readable when the inner back end's is, and while something is
//! held back.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, epoll, eventfd};

pub struct Descriptor {
    set: OwnedFd,
    eventfd: OwnedFd,
    is_set: bool,
}

impl Descriptor {
    pub fn new(inner: BorrowedFd<'_>) -> io::Result<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        for fd in [inner, eventfd.as_fd()] {
            epoll::add(&set, fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        Ok(Self { set, eventfd, is_set: false })
    }

    pub fn set(&mut self, holds: bool) -> io::Result<()> {
        if holds && !self.is_set {
            rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes())?;
        } else if !holds && self.is_set {
            rustix::io::read(&self.eventfd, &mut [0; 8])?;
        }
        self.is_set = holds;
        Ok(())
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}
