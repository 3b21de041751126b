//! Layer 1: a back end around another one.
//! Invariant: what a wrapper does not change is asked of the inner one; no method falls back to what
//! `Backend` provides (tests/conformance/wrapping.rs looks for one that is missing here).

use std::io;
use std::time::Instant;

use super::{Backend, OnSignal, ReadyList, Token};
use crate::interest::Interest;
use crate::selector::key::Mode;
use crate::selector::notifier::Notifier;
use crate::selector::until::Until;
use crate::sys::BorrowedFd;

/// What a [`Wrapped`] back end does differently from the one inside it: in order to count, to fail,
/// to be late, to wait by another clock.
///
/// Each method is that of [`Backend`] with the inner back end in front, and asks that, unless you
/// say otherwise. The promises of [`Backend`] are yours to keep. A closure is a
/// [`wait`](Self::wait), and changes nothing else.
///
/// ```
/// use selkie::selector::{Backend, BackendKind, ReadyList, Until, Wrapped};
/// use selkie::{Events, Selector};
/// use std::{net::TcpStream, time::Duration};
///
/// let mut waits = 0;
/// let inner = BackendKind::DEFAULT.open()?;
/// let counting = Wrapped::new(inner, |inner: &mut Box<_>, ready: &mut ReadyList, until: Until| {
///     waits += 1;
///     inner.wait(ready, until)
/// });
/// let mut selector = Selector::<TcpStream, (), _>::with_backend(counting);
/// selector.select(&mut Events::new(), Some(Duration::ZERO))?;
/// drop(selector);
/// assert_eq!(waits, 1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Wrapper<B: Backend> {
    /// See [`Backend::name`].
    fn name(&self, inner: &B) -> &'static str {
        inner.name()
    }

    /// See [`Backend::now`].
    fn now(&self, inner: &B) -> Instant {
        inner.now()
    }

    /// See [`Backend::supports`].
    fn supports(&self, inner: &B, mode: Mode) -> bool {
        inner.supports(mode)
    }

    /// See [`Backend::reports_read_closed`].
    fn reports_read_closed(&self, inner: &B) -> bool {
        inner.reports_read_closed()
    }

    /// See [`Backend::register`].
    ///
    /// # Errors
    /// As [`Backend::register`].
    ///
    /// # Safety
    /// As for [`Backend::register`].
    unsafe fn register(
        &mut self,
        inner: &mut B,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { inner.register(token, fd, interest, mode) }
    }

    /// See [`Backend::modify`].
    ///
    /// # Errors
    /// As [`Backend::modify`].
    ///
    /// # Safety
    /// As for [`Backend::modify`].
    unsafe fn modify(
        &mut self,
        inner: &mut B,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { inner.modify(token, fd, interest, mode) }
    }

    /// See [`Backend::unregister`].
    ///
    /// # Errors
    /// As [`Backend::unregister`].
    fn unregister(&mut self, inner: &mut B, token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        inner.unregister(token, fd)
    }

    /// See [`Backend::wait`].
    ///
    /// # Errors
    /// As [`Backend::wait`].
    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        inner.wait(ready, until)
    }

    /// See [`Backend::on_signal`].
    fn on_signal(&mut self, inner: &mut B, then: OnSignal) {
        inner.on_signal(then);
    }

    /// See [`Backend::notifier`].
    fn notifier(&self, inner: &B) -> Notifier {
        inner.notifier()
    }

    /// See [`Backend::reset`].
    ///
    /// # Errors
    /// As [`Backend::reset`].
    fn reset(&mut self, inner: &mut B) -> io::Result<()> {
        inner.reset()
    }

    /// See [`Backend::descriptor`].
    fn descriptor<'b>(&'b self, inner: &'b B) -> Option<BorrowedFd<'b>> {
        inner.descriptor()
    }
}

impl<B, F> Wrapper<B> for F
where
    B: Backend,
    F: FnMut(&mut B, &mut ReadyList, Until) -> io::Result<()>,
{
    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        self(inner, ready, until)
    }
}

/// The back end `inner`, but for what `wrapper` does differently.
#[derive(Clone, Copy, Debug)]
pub struct Wrapped<B, W> {
    /// What asks the system.
    pub inner: B,
    /// What is asked first.
    pub wrapper: W,
}

impl<B, F> Wrapped<B, F>
where
    B: Backend,
    F: FnMut(&mut B, &mut ReadyList, Until) -> io::Result<()>,
{
    /// With a [`wait`](Backend::wait) that is a closure. (For a [`Wrapper`] write the fields.)
    pub const fn new(inner: B, wait: F) -> Self {
        Self { inner, wrapper: wait }
    }
}

/// All methods of [`Backend`], as calls by one of two macros: `$shared` by `&`, `$mutable` by `&mut`.
macro_rules! forward {
    ($shared:ident, $mutable:ident) => {
        fn name(&self) -> &'static str {
            $shared!(self, name)
        }

        fn now(&self) -> Instant {
            $shared!(self, now)
        }

        fn supports(&self, mode: Mode) -> bool {
            $shared!(self, supports, mode)
        }

        fn reports_read_closed(&self) -> bool {
            $shared!(self, reports_read_closed)
        }

        unsafe fn register(
            &mut self,
            token: Token,
            fd: BorrowedFd<'_>,
            interest: Interest,
            mode: Mode,
        ) -> io::Result<()> {
            // SAFETY: the caller's promise is the one that is asked for.
            unsafe { $mutable!(self, register, token, fd, interest, mode) }
        }

        unsafe fn modify(
            &mut self,
            token: Token,
            fd: BorrowedFd<'_>,
            interest: Interest,
            mode: Mode,
        ) -> io::Result<()> {
            // SAFETY: the caller's promise is the one that is asked for.
            unsafe { $mutable!(self, modify, token, fd, interest, mode) }
        }

        fn unregister(&mut self, token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
            $mutable!(self, unregister, token, fd)
        }

        fn wait(&mut self, ready: &mut ReadyList, until: Until) -> io::Result<()> {
            $mutable!(self, wait, ready, until)
        }

        fn on_signal(&mut self, then: OnSignal) {
            $mutable!(self, on_signal, then)
        }

        fn notifier(&self) -> Notifier {
            $shared!(self, notifier)
        }

        fn reset(&mut self) -> io::Result<()> {
            $mutable!(self, reset)
        }

        fn descriptor(&self) -> Option<BorrowedFd<'_>> {
            $shared!(self, descriptor)
        }
    };
}

macro_rules! to_the_wrapper {
    ($this:ident, $method:ident $(, $argument:ident)*) => {
        $this.wrapper.$method(&$this.inner $(, $argument)*)
    };
}

macro_rules! to_the_wrapper_mut {
    ($this:ident, $method:ident $(, $argument:ident)*) => {
        $this.wrapper.$method(&mut $this.inner $(, $argument)*)
    };
}

impl<B: Backend, W: Wrapper<B>> Backend for Wrapped<B, W> {
    forward!(to_the_wrapper, to_the_wrapper_mut);
}

macro_rules! to_what_is_boxed {
    ($this:ident, $method:ident $(, $argument:ident)*) => {
        (**$this).$method($($argument),*)
    };
}

impl<B: Backend + ?Sized> Backend for Box<B> {
    forward!(to_what_is_boxed, to_what_is_boxed);
}
