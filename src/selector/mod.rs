//! Python's `selectors` in Rust: register interest with your own data, select, handle, repeat.
//!
//! [`Selector`] owns what it watches, so registering is safe code. Which system call asks the
//! kernel is a type parameter: [`DefaultSelector`] takes the most efficient one at run time,
//! [`EpollSelector`] and its kin name one, and [`Backend`] is a public trait.
//!
//! What a loop needs beside sockets is here too: [`Timers`] for its deadlines, and a [`channel()`]
//! that other threads send into. `examples/select_chat.rs` has both, and Ctrl-C, in one loop.
//!
//! # What is not guaranteed
//! - Readiness is a hint: an event may be spurious, and another thread may have taken the bytes.
//!   Keep sources non-blocking, and take `WouldBlock` for an answer.
//! - The order of keys in a batch is the system's.
//! - The bits [`READ_CLOSED`], [`WRITE_CLOSED`] and [`ERROR`] depend on the back end; a loop that
//!   reads until `Ok(0)` is right on all of them.
//! - After `fork(2)` without `exec`, parent and child share the kernel's set: make the selector
//!   after the fork. All descriptors are close-on-exec.
//!
//! [`READ_CLOSED`]: crate::Readiness::READ_CLOSED
//! [`WRITE_CLOSED`]: crate::Readiness::WRITE_CLOSED
//! [`ERROR`]: crate::Readiness::ERROR

// Layer 1: keeps the map of registrations, which `select` asks a back end for.
// Invariant: an entry is in `entries` and `by_fd`, or in neither; the source of an entry is
// never lent mutably, so its descriptor is the one that was registered.

mod backend;
mod bell;
mod channel;
mod error;
mod events;
mod key;
mod liveness;
mod lookup;
mod notifier;
mod select;
mod until;
pub(crate) mod world;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

#[cfg(feature = "polling")]
pub use backend::PollingBackend;
pub use backend::{
    Backend, BackendKind, OnSignal, Open, ReadyList, Token, UnknownBackend, Wrapped, Wrapper,
};
#[cfg(target_os = "linux")]
pub use backend::{EpollBackend, PollBackend, SelectBackend};
#[cfg(feature = "signal")]
pub(crate) use bell::Bell;
pub use channel::{Receiver, SendError, Sender, TryRecvError, channel};
pub use error::RegisterError;
pub use events::{Events, Iter};
pub use key::{Key, Mode, SelectorKey};
pub use notifier::Notifier;
pub use until::Until;

pub use crate::timers::{TimerKey, Timers};

use crate::interest::Interest;
use crate::slots::Slots;
use crate::sys::{AsFd, AsRawFd, BorrowedFd, RawFd, borrowed};
use error::Refusal;
use key::SelectorId;
use liveness::Liveness;

/// The selector for this system: epoll on Linux, else the `polling` crate, unless the
/// environment variable `SELKIE_BACKEND` names another; see [`BackendKind`].
pub type DefaultSelector<S, D = ()> = Selector<S, D, Box<dyn Backend + Send>>;
/// A selector on epoll(7).
#[cfg(target_os = "linux")]
pub type EpollSelector<S, D = ()> = Selector<S, D, EpollBackend>;
/// A selector on poll(2).
#[cfg(target_os = "linux")]
pub type PollSelector<S, D = ()> = Selector<S, D, PollBackend>;
/// A selector on select(2).
#[cfg(target_os = "linux")]
pub type SelectSelector<S, D = ()> = Selector<S, D, SelectBackend>;
/// A selector on the `polling` crate.
#[cfg(feature = "polling")]
pub type PollingSelector<S, D = ()> = Selector<S, D, PollingBackend>;
/// A selector on kqueue(2), through the `polling` crate. Not tested.
#[cfg(feature = "polling")]
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
))]
pub type KqueueSelector<S, D = ()> = Selector<S, D, PollingBackend>;

/// Watches sources `S` for readiness, with data `D` on each.
///
/// A source is anything with a descriptor: a `TcpStream` by value, or an `Rc<T>`, an `Arc<T>` or
/// a `BorrowedFd<'_>` of it. The selector owns it until [`unregister`](Self::unregister) hands it
/// back; dropping the selector drops the sources. It does not change their blocking mode.
///
/// ```
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
/// use selkie::{DefaultSelector, Events, Interest};
///
/// let mut selector = DefaultSelector::new()?;
/// let (mut near, far) = UnixStream::pair()?;
/// let key = selector.register(far, Interest::READ, "my own data")?;
///
/// near.write_all(b"hello")?;
/// let mut events = Events::new();
/// for (ready, readiness) in selector.select(&mut events, None)? {
///     assert_eq!((ready, readiness.is_readable()), (key, true));
///     assert_eq!(selector[ready].data, "my own data");
///     let (_far, _data) = selector.unregister(ready)?.into_parts();
/// }
/// assert!(selector.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Selector<S, D = (), B = Box<dyn Backend + Send>> {
    /// The first field, so that it is dropped before the sources: their descriptors are open till
    /// then.
    backend: B,
    id: SelectorId,
    entries: Slots<Entry<S, D>>,
    by_fd: HashMap<RawFd, Token>,
    /// Which entries there are, for the batches that are being walked.
    liveness: Arc<Liveness>,
    kernel_set: KernelSet,
    on_signal: OnSignal,
    last_wait: WaitNumber,
}

/// How many waits of the back end there have been: tells what came in one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WaitNumber(NonZeroU64);

struct Entry<S, D> {
    key: SelectorKey<S, D>,
    /// The descriptor of the source, which is never lent mutably.
    fd: BorrowedFd<'static>,
    /// The wait in which a oneshot has fired; `None` while it is armed.
    fired_in: Option<WaitNumber>,
    /// Where it stood in the last batch that had it.
    position: usize,
}

impl<S, D> Entry<S, D> {
    /// True unless it is a oneshot that fired in an earlier wait than `wait`, which is silent,
    /// whatever the back end says. A oneshot has fired then.
    #[inline]
    fn may_fire_in(&mut self, wait: WaitNumber) -> bool {
        self.key.mode != Mode::Oneshot || *self.fired_in.get_or_insert(wait) == wait
    }
}

/// Whether the system watches what is registered here, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KernelSet {
    /// As far as is known, it does.
    Exact,
    /// It may also watch what was registered here before, under a descriptor that was closed before
    /// it was unregistered. While a duplicate of that descriptor is open, epoll goes on reporting
    /// it, and has no name by which it could be removed. If it reports, the set is made anew.
    MayHaveOrphans,
    /// The set was made anew, but an error came before all was registered in it again. The next
    /// select begins once more.
    Incomplete,
}

/// True if the system has no registration of a descriptor.
fn is_unknown(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NOENT.raw_os_error())
}

impl<S: AsFd, D, B: Open> Selector<S, D, B> {
    /// Opens a selector. Call it by an alias that names the back end, such as
    /// [`DefaultSelector::new`](DefaultSelector).
    ///
    /// # Errors
    /// As the system's, when it has no descriptor or memory to spare; for a [`DefaultSelector`]
    /// also of kind `InvalidInput` if `SELKIE_BACKEND` names no back end.
    pub fn new() -> io::Result<Self> {
        Ok(Self::with_backend(B::open()?))
    }
}

impl<S: AsFd, D, B: Backend> Selector<S, D, B> {
    /// A selector on `backend`, which has no registrations yet.
    pub fn with_backend(backend: B) -> Self {
        Self {
            backend,
            id: SelectorId::random(),
            entries: Slots::new(),
            by_fd: HashMap::new(),
            liveness: Arc::new(Liveness::new()),
            kernel_set: KernelSet::Exact,
            on_signal: OnSignal::Retry,
            last_wait: WaitNumber(NonZeroU64::MIN),
        }
    }

    /// Watches `source` for `interest` by level, as Python does, and keeps `data` for it.
    ///
    /// # Errors
    /// Nothing is registered then, and the error hands source and data back. Its kind is
    /// - `AlreadyExists`: the descriptor is registered here.
    /// - `InvalidInput`: the interest is empty.
    /// - `PermissionDenied`: it is a file that epoll does not watch (EPERM), such as a regular
    ///   one; poll(2) and select(2) report these as always ready.
    /// - that of EBADF: the descriptor is closed.
    /// - else as `epoll_ctl(2)` says.
    ///
    /// Where the system has refused, the number is [`RegisterError::error`]'s `raw_os_error()`.
    pub fn register(
        &mut self,
        source: S,
        interest: Interest,
        data: D,
    ) -> Result<Key, RegisterError<S, D>> {
        self.register_with_mode(source, interest, Mode::Level, data)
    }

    /// As [`register`](Self::register), with a choice when to be told.
    ///
    /// # Errors
    /// As [`register`](Self::register), and of kind `Unsupported` if the back end lacks the mode.
    pub fn register_with_mode(
        &mut self,
        source: S,
        interest: Interest,
        mode: Mode,
        data: D,
    ) -> Result<Key, RegisterError<S, D>> {
        // SAFETY: the entry below owns the source and lends it only by `&`, until `unregister`
        // has told the back end, or `Drop` has dropped it. While a source can be borrowed, so can
        // its descriptor: `as_fd` says that it is open.
        let fd = unsafe { borrowed(source.as_fd().as_raw_fd()) };
        let number = fd.as_raw_fd();
        let refused = if self.by_fd.contains_key(&number) {
            Err(error::already_registered(number))
        } else {
            self.check(number, interest, mode)
        };
        if let Err(error) = refused {
            return Err(RegisterError::new(error, source, data));
        }
        let key = SelectorKey { source, interest, mode, data };
        let entry = Entry { key, fd, fired_in: None, position: usize::MAX };
        let token = Token::of(self.entries.insert(entry));
        // SAFETY: `fd` is open while the entry is there, and that goes only with or after the
        // registration.
        if let Err(cause) = unsafe { self.backend.register(token, fd, interest, mode) }
            && let Some(Entry { key, .. }) = self.entries.remove(token.slot())
        {
            let error = Refusal::by_backend(number, self.backend.name(), cause);
            return Err(RegisterError::new(error, key.source, key.data));
        }
        self.by_fd.insert(number, token);
        self.liveness.begin(token);
        Ok(Key::new(self.id, token))
    }

    /// Watches for another interest, or for the same: that is watched, in any case, when it
    /// returns `Ok`. A oneshot is armed anew, and an edge is reported again if the source is ready.
    ///
    /// # Errors
    /// The registration is as it was then. An error of the system keeps its number
    /// (`raw_os_error()`): EBADF if the descriptor was closed too early, ENOENT if its number has
    /// become another file since. Unregister it then. Of kind `NotFound` without a number for a
    /// key that is not registered here, else as for [`register`](Self::register).
    pub fn modify(&mut self, key: Key, interest: Interest) -> io::Result<()> {
        let mode = self.entry(key)?.1.key.mode;
        self.modify_with_mode(key, interest, mode)
    }

    /// As [`modify`](Self::modify), and changes the mode too.
    ///
    /// # Errors
    /// As [`modify`](Self::modify), and of kind `Unsupported` if the back end lacks the mode.
    pub fn modify_with_mode(&mut self, key: Key, interest: Interest, mode: Mode) -> io::Result<()> {
        let (token, entry) = self.entry(key)?;
        let (fd, armed) = (entry.fd, entry.fired_in.is_none());
        self.check(fd.as_raw_fd(), interest, mode)?;
        // SAFETY: the entry is there, so its descriptor is open.
        let result = match unsafe { self.backend.modify(token, fd, interest, mode) } {
            // A oneshot that had fired when the set was made anew. What is armed and yet unknown
            // is another file under the same number: to add it would leave the first one behind,
            // and with a duplicate of it alive, that would report under this key for ever.
            Err(cause) if is_unknown(&cause) && !armed => {
                // SAFETY: as above.
                let added = unsafe { self.backend.register(token, fd, interest, mode) };
                // Or another file as well: fired, the first one is silent, but still there.
                self.expect_orphans();
                added
            }
            result => result,
        };
        result?;
        if let Some(entry) = self.entries.get_mut(token.slot()) {
            entry.fired_in = None;
            entry.key.interest = interest;
            entry.key.mode = mode;
        }
        Ok(())
    }

    /// Watches no longer, and hands source and data back, whatever the system says to it.
    ///
    /// The key is not delivered any more, by the batch that is being walked neither.
    ///
    /// # Errors
    /// Of kind `NotFound` for a key that is not registered here.
    pub fn unregister(&mut self, key: Key) -> io::Result<SelectorKey<S, D>> {
        let token = key.token_in(self.id).ok_or_else(|| error::not_registered(key))?;
        let entry = self.entries.remove(token.slot()).ok_or_else(|| error::not_registered(key))?;
        self.by_fd.remove(&entry.fd.as_raw_fd());
        self.liveness.end(token);
        // An error means that the descriptor was closed too early. The caller gets the source
        // back all the same; what the kernel may have kept is dealt with when it shows.
        if self.backend.unregister(token, entry.fd).is_err() {
            self.expect_orphans();
        }
        Ok(entry.key)
    }

    fn expect_orphans(&mut self) {
        if self.kernel_set == KernelSet::Exact {
            self.kernel_set = KernelSet::MayHaveOrphans;
        }
    }

    /// Refuses what no back end, or not this one, can watch.
    fn check(&self, fd: RawFd, interest: Interest, mode: Mode) -> io::Result<()> {
        if interest.is_empty() {
            Err(error::empty_interest(fd))
        } else if !self.backend.supports(mode) {
            Err(error::no_such_mode(mode, self.backend.name()))
        } else {
            Ok(())
        }
    }
}

impl<S, D, B> Selector<S, D, B> {
    fn entry(&self, key: Key) -> io::Result<(Token, &Entry<S, D>)> {
        let entry = |token: Token| Some((token, self.entries.get(token.slot())?));
        key.token_in(self.id).and_then(entry).ok_or_else(|| error::not_registered(key))
    }
}

impl<S, D, B: Backend> Selector<S, D, B> {
    /// The time, by the back end's clock: what an [`Until`] counts by.
    pub fn now(&self) -> Instant {
        self.backend.now()
    }

    /// Says what becomes of a [`select`](Self::select) that waits when a signal handler has run on
    /// this thread; without this it goes on.
    ///
    /// With [`OnSignal::Return`] it returns an error of kind `Interrupted`, with no event lost, so
    /// that a language binding can run the handlers of its language. To go on waiting, call
    /// [`select_until`](Self::select_until) with the same deadline and a new `now`. A signal that
    /// comes just before the wait does not end it; use a [`Notifier`] in the handler for that.
    ///
    /// ```
    /// use selkie::{DefaultSelector, Events, selector::{OnSignal, Until}};
    /// use std::{io::ErrorKind, time::Duration};
    ///
    /// let mut selector = DefaultSelector::<std::net::TcpStream>::new()?;
    /// selector.on_signal(OnSignal::Return);
    /// let (mut events, mut now) = (Events::new(), selector.now());
    /// let deadline = now + Duration::from_millis(5);
    /// loop {
    ///     match selector.select_until(&mut events, Until::At { deadline, now }) {
    ///         Err(error) if error.kind() == ErrorKind::Interrupted => now = selector.now(),
    ///         found => break assert_eq!(found?.count(), 0),
    ///     }
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_signal(&mut self, then: OnSignal) {
        self.on_signal = then;
        self.backend.on_signal(then);
    }

    /// A handle that ends a blocked [`select`](Self::select) from any thread, or from a signal
    /// handler.
    pub fn notifier(&self) -> Notifier {
        self.backend.notifier()
    }

    /// A descriptor that is readable when a select would report something, where the back end
    /// has one (epoll, kqueue): for registering this selector in another one. Where the type
    /// says that there is one, `AsFd` gives it too.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.backend.descriptor()
    }
}

impl<S, D, B: AsFd> AsFd for Selector<S, D, B> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.backend.as_fd()
    }
}

impl<S, D, B: Backend> fmt::Debug for Selector<S, D, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selector")
            .field("backend", &self.backend.name())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
