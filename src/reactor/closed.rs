//! Layer 2: what stands for the back end of a runtime that is gone.
//! Invariant: watches nothing, so nothing can wait for it.

use std::io;

use crate::interest::Interest;
use crate::selector::{Backend, Mode, Notifier, ReadyList, Token, Until};
use crate::sys::BorrowedFd;

/// Takes no registration, and never waits.
pub(super) struct Closed;

impl Backend for Closed {
    fn name(&self) -> &'static str {
        "closed"
    }

    fn supports(&self, _mode: Mode) -> bool {
        true
    }

    // SAFETY: nothing is kept of the descriptor.
    unsafe fn register(
        &mut self,
        _token: Token,
        _fd: BorrowedFd<'_>,
        _interest: Interest,
        _mode: Mode,
    ) -> io::Result<()> {
        Err(error())
    }

    // SAFETY: nothing is kept of the descriptor.
    unsafe fn modify(
        &mut self,
        _token: Token,
        _fd: BorrowedFd<'_>,
        _interest: Interest,
        _mode: Mode,
    ) -> io::Result<()> {
        Err(error())
    }

    fn unregister(&mut self, _token: Token, _fd: BorrowedFd<'_>) -> io::Result<()> {
        Err(error())
    }

    fn wait(&mut self, _ready: &mut ReadyList, _until: Until) -> io::Result<()> {
        Err(error())
    }

    fn notifier(&self) -> Notifier {
        Notifier::new(|| Ok(()))
    }
}

#[cold]
pub(super) fn error() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the runtime of this source is gone, so nothing can be waited for; drop the source before \
         its runtime, or use it without waiting",
    )
}
