//! A back end that a test brings: another one, with a `wait` of the test's own.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use selkie::selector::{Backend, ReadyList, Token};
use selkie::{Interest, Mode, Notifier};

/// Passes everything on to `inner`, but `wait`, which is a closure that is given `inner`.
pub struct Wrapped<B, F> {
    pub inner: B,
    wait: F,
}

impl<B, F> Wrapped<B, F>
where
    B: Backend,
    F: FnMut(&mut B, &mut ReadyList, Option<Duration>) -> io::Result<()>,
{
    pub fn new(inner: B, wait: F) -> Self {
        Self { inner, wait }
    }
}

impl<B, F> Backend for Wrapped<B, F>
where
    B: Backend,
    F: FnMut(&mut B, &mut ReadyList, Option<Duration>) -> io::Result<()>,
{
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn supports(&self, mode: Mode) -> bool {
        self.inner.supports(mode)
    }

    fn reports_read_closed(&self) -> bool {
        self.inner.reports_read_closed()
    }

    fn register(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.inner.register(token, fd, interest, mode)
    }

    fn modify(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.inner.modify(token, fd, interest, mode)
    }

    fn unregister(&mut self, token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.inner.unregister(token, fd)
    }

    fn wait(&mut self, ready: &mut ReadyList, timeout: Option<Duration>) -> io::Result<()> {
        (self.wait)(&mut self.inner, ready, timeout)
    }

    fn notifier(&self) -> Notifier {
        self.inner.notifier()
    }

    fn reset(&mut self) -> io::Result<()> {
        self.inner.reset()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inner.descriptor()
    }
}
