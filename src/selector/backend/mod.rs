//! Layer 1: how a selector asks the system, and the implementations of that.
//! Knows no source and no data: a back end is told a descriptor and a [`Token`], and reports the
//! token. The only place in the crate that reads std's clock.
//!
//! To add one: a file here with a type that implements [`Backend`], its line in [`BackendKind`],
//! and its line in `tests/util/subject.rs`; the tests in `tests/conformance` then run over it.

#[cfg(target_os = "linux")]
mod epoll;
#[cfg(target_os = "linux")]
mod eventfd;
mod kind;
#[cfg(target_os = "linux")]
mod poll;
#[cfg(target_os = "linux")]
mod poll_bits;
#[cfg(feature = "polling")]
mod portable;
mod ready;
#[cfg(target_os = "linux")]
mod select;
mod wrap;

use std::io;
use std::time::Instant;

#[cfg(target_os = "linux")]
pub use epoll::EpollBackend;
pub use kind::{BackendKind, UnknownBackend};
#[cfg(target_os = "linux")]
pub use poll::PollBackend;
#[cfg(feature = "polling")]
pub use portable::PollingBackend;
pub use ready::ReadyList;
#[cfg(target_os = "linux")]
pub use select::SelectBackend;
pub use wrap::{Wrapped, Wrapper};

use super::key::Mode;
pub use super::key::Token;
use super::notifier::Notifier;
use super::until::Until;
use crate::interest::Interest;
use crate::sys::BorrowedFd;

/// Asks the system which descriptors are ready.
///
/// Public, so that a program can bring its own, and a test one that lies. [`Selector`] keeps
/// these promises to it, and a wrapper must pass them on (see [`Wrapped`]): a descriptor is open from `register`
/// until `unregister` returns; no descriptor is registered twice; no interest is empty; no mode
/// is asked for that [`supports`](Backend::supports) denies.
///
/// In return an implementation may report spuriously, twice, or too much (the selector masks by
/// the interest), return from [`wait`](Backend::wait) too early, and report tokens that are
/// gone; it must not lose anything. In particular:
/// - Events and notifications may be delayed if, until they are delivered, [`wait`](Backend::wait)
///   returns promptly, whatever its deadline, and [`descriptor`](Backend::descriptor) is readable.
/// - Only [`READ`], [`WRITE`] and [`PRIORITY`] may be spurious. The closed bits and
///   [`ERROR`](crate::Readiness::ERROR) must be true: programs give a connection up for them.
/// - What it found of a descriptor it may tell in parts, but [`READ`] and [`WRITE`] not before the
///   other bits: who reads may take a short read for the last one, if these say nothing else.
/// - A [`Mode::Oneshot`] that it reports is spent, even if that was spurious: the selector drops
///   what comes for it before it is armed anew, and asks to [`modify`](Backend::modify) it then.
/// - A notification ends a select, so it must not be invented. Several may become one.
///
/// [`READ`]: crate::Readiness::READ
/// [`WRITE`]: crate::Readiness::WRITE
/// [`PRIORITY`]: crate::Readiness::PRIORITY
/// [`Selector`]: super::Selector
pub trait Backend {
    /// A short lower-case name for messages: `"epoll"`.
    fn name(&self) -> &'static str;

    /// The time, by the clock that the deadlines of [`wait`](Backend::wait) belong to.
    ///
    /// All that is timed over this back end asks here, so that a back end that waits by another
    /// clock, as a simulation does, has to answer this and nothing else.
    fn now(&self) -> Instant {
        system_now()
    }

    /// True if registrations may have this mode. Level and oneshot are always wanted.
    fn supports(&self, mode: Mode) -> bool;

    /// True if [`READ_CLOSED`](crate::Readiness::READ_CLOSED) is reported together with, or before, the last bytes
    /// of a stream that its peer has shut down (`EPOLLRDHUP`).
    ///
    /// Only then may a reader of an edge-triggered source take a short read for "drained".
    fn reports_read_closed(&self) -> bool {
        false
    }

    /// Watches `fd`.
    ///
    /// # Errors
    /// As the system's: nothing is registered then.
    ///
    /// # Safety
    /// If this succeeds, `fd` stays open, and with it the file that it is, until
    /// [`unregister`](Backend::unregister) has returned or the back end is dropped: it may be
    /// used, by its number, in between.
    unsafe fn register(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()>;

    /// Changes what a registration is watched for, and arms it anew.
    ///
    /// # Errors
    /// As the system's: the registration is as it was then.
    ///
    /// # Safety
    /// As for [`register`](Backend::register): `token` is registered, and `fd` is its descriptor.
    unsafe fn modify(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()>;

    /// Watches `fd` no longer. Called once for each registration; its token may come back in
    /// another registration only with another generation.
    ///
    /// # Errors
    /// If the system does not know the descriptor (any more). The registration is gone all the
    /// same, as far as it is in the back end's hands; see [`reset`](Backend::reset).
    fn unregister(&mut self, token: Token, fd: BorrowedFd<'_>) -> io::Result<()>;

    /// Waits until a descriptor is ready, a [`Notifier`] was used or the time has come that
    /// `until` says, and pushes what is ready on `ready`, which is empty, at most as many as it
    /// has room for.
    ///
    /// # Errors
    /// As the system's; then nothing has been pushed, and no event and no notification is lost.
    /// The selector retries [`io::ErrorKind::Interrupted`], with the same deadline, unless its
    /// user wants to know; see [`on_signal`](Backend::on_signal).
    fn wait(&mut self, ready: &mut ReadyList, until: Until) -> io::Result<()>;

    /// Says what [`wait`](Backend::wait) has to do when a signal handler has run. A back end that
    /// returns [`io::ErrorKind::Interrupted`] in either case, as it may, need not know.
    fn on_signal(&mut self, then: OnSignal) {
        let _ = then;
    }

    /// A handle that ends [`wait`](Backend::wait).
    fn notifier(&self) -> Notifier;

    /// Forgets every registration, those too that cannot be named any more because their
    /// descriptor was closed too early. Notifiers and [`descriptor`](Backend::descriptor)
    /// stay good. The selector registers anew what is still wanted.
    ///
    /// Only for implementations whose registrations can outlive a failed `unregister`, as a
    /// duplicated descriptor's do in epoll; the others need not do anything.
    ///
    /// # Errors
    /// As the system's, when it cannot make a new set.
    fn reset(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// A descriptor that is readable whenever [`wait`](Backend::wait) would report something,
    /// where the system has such a thing.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// The system's monotonic clock, which is that of every back end here. The only place in the crate
/// that reads it.
pub(crate) fn system_now() -> Instant {
    Instant::now()
}

/// What becomes of a select that waits when a signal handler has run on its thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnSignal {
    /// It goes on, to the same deadline (PEP 475).
    #[default]
    Retry,
    /// It returns an error of kind [`io::ErrorKind::Interrupted`].
    Return,
}

/// A back end that can be opened without being told anything: what `Selector::new` needs.
pub trait Open: Backend + Sized {
    /// Opens one.
    ///
    /// # Errors
    /// As the system's, when it has no descriptor or memory to spare.
    fn open() -> io::Result<Self>;
}
