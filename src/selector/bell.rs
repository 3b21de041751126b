//! Layer 1: a descriptor that a thread or a signal handler makes readable.
//! Invariant: no end of it blocks, and none is inherited by a program that is executed.

use std::io;

use crate::sys::{AsFd, BorrowedFd};

#[cfg(target_os = "linux")]
type End = crate::sys::OwnedFd;
#[cfg(not(target_os = "linux"))]
type End = std::os::unix::net::UnixStream;

/// Silent ─ring→ readable ─silence→ silent; by edge, each `ring` is an event.
#[derive(Debug)]
pub(crate) struct Bell {
    near: End,
    #[cfg(not(target_os = "linux"))]
    far: End,
}

impl Bell {
    /// # Errors
    /// As `eventfd(2)`, or elsewhere as `socketpair(2)`.
    pub(crate) fn new() -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            use rustix::event::{EventfdFlags, eventfd};
            let near = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            Ok(Self { near })
        }
        #[cfg(not(target_os = "linux"))]
        {
            let (near, far) = End::pair()?;
            near.set_nonblocking(true)?;
            far.set_nonblocking(true)?;
            Ok(Self { near, far })
        }
    }

    /// Makes the descriptor readable. For signal handlers too: one write(2), which does not block.
    pub(crate) fn ring(&self) {
        #[cfg(target_os = "linux")]
        let far = &self.near;
        #[cfg(not(target_os = "linux"))]
        let far = &self.far;
        // Fails only if it is full, and so readable already.
        let _ = rustix::io::write(far, &1_u64.to_ne_bytes());
    }

    /// Makes it not readable, until it is rung again.
    pub(crate) fn silence(&self) {
        // Fails only if it is silent already. A full buffer may have been followed by more.
        let mut rung = [0; 512];
        while rustix::io::read(&self.near, &mut rung).is_ok_and(|len| len == rung.len()) {}
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.near.as_fd()
    }
}
