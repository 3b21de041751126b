//! The one delegating wrapper: a back end around another one, which a test meddles with.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use selkie::selector::{Backend, ReadyList, Token, Until};
use selkie::{Interest, Mode, Notifier};

/// What is done instead of asking `inner`. Every method asks it, if it is not overridden; a
/// closure is a `wait` and nothing else.
pub trait Meddle<B: Backend> {
    fn now(&self, inner: &B) -> Instant {
        inner.now()
    }

    fn supports(&self, inner: &B, mode: Mode) -> bool {
        inner.supports(mode)
    }

    unsafe fn register(&mut self, inner: &mut B, watch: Watch<'_>) -> io::Result<()> {
        // SAFETY: it is the caller's promise, handed on.
        unsafe { inner.register(watch.token, watch.fd, watch.interest, watch.mode) }
    }

    unsafe fn modify(&mut self, inner: &mut B, watch: Watch<'_>) -> io::Result<()> {
        // SAFETY: it is the caller's promise, handed on.
        unsafe { inner.modify(watch.token, watch.fd, watch.interest, watch.mode) }
    }

    fn unregister(&mut self, inner: &mut B, token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        inner.unregister(token, fd)
    }

    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        inner.wait(ready, until)
    }

    fn notifier(&self, inner: &B) -> Notifier {
        inner.notifier()
    }

    fn descriptor<'b>(&'b self, inner: &'b B) -> Option<BorrowedFd<'b>> {
        inner.descriptor()
    }
}

/// A registration, as a back end is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'fd> {
    pub token: Token,
    pub fd: BorrowedFd<'fd>,
    pub interest: Interest,
    pub mode: Mode,
}

impl<B, F> Meddle<B> for F
where
    B: Backend,
    F: FnMut(&mut B, &mut ReadyList, Until) -> io::Result<()>,
{
    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        self(inner, ready, until)
    }
}

/// `inner`, as `meddler` passes it on.
pub struct Wrapped<B, M> {
    pub inner: B,
    pub meddler: M,
}

impl<B, F> Wrapped<B, F>
where
    B: Backend,
    F: FnMut(&mut B, &mut ReadyList, Until) -> io::Result<()>,
{
    /// With a `wait` that is a closure, which is given `inner`.
    pub fn new(inner: B, wait: F) -> Self {
        Self { inner, meddler: wait }
    }
}

impl<B: Backend, M: Meddle<B>> Backend for Wrapped<B, M> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn now(&self) -> Instant {
        self.meddler.now(&self.inner)
    }

    fn supports(&self, mode: Mode) -> bool {
        self.meddler.supports(&self.inner, mode)
    }

    fn reports_read_closed(&self) -> bool {
        self.inner.reports_read_closed()
    }

    unsafe fn register(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        // SAFETY: it is the caller's promise, handed on.
        unsafe { self.meddler.register(&mut self.inner, Watch { token, fd, interest, mode }) }
    }

    unsafe fn modify(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        // SAFETY: it is the caller's promise, handed on.
        unsafe { self.meddler.modify(&mut self.inner, Watch { token, fd, interest, mode }) }
    }

    fn unregister(&mut self, token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.meddler.unregister(&mut self.inner, token, fd)
    }

    fn wait(&mut self, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        self.meddler.wait(&mut self.inner, ready, until)
    }

    fn notifier(&self) -> Notifier {
        self.meddler.notifier(&self.inner)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.inner.reset()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.meddler.descriptor(&self.inner)
    }
}
