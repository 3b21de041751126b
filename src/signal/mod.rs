//! Signals of the process: [`ctrl_c`], and [`Signals`] for any others. Feature `signal`.
//!
//! A handler, over the registry of [signal-hook], notes the signal and writes to a
//! descriptor: no thread, no signal mask, nothing for child processes to inherit.
//!
//! What a process does with a signal is one thing for all of its threads. So all [`Signals`] of a
//! process that have a signal in their set get it, in any thread and any runtime, and beside them
//! whoever else has registered for it with signal-hook's registry. The first of them takes the
//! signal's action away, and the last one gives it back when it is dropped: mostly the default
//! action, which ends the process. What that was stands in a static, the only one of this crate
//! that belongs to the process: signals do.
//!
//! That is also the limit. Other code that takes the same signal by the same registry (signal-hook,
//! tokio) *while* there are [`Signals`] of it loses it when the last of these is dropped, and code
//! that comes *afterwards* does not get it: the registry tells nobody who else is registered, and
//! installs its handler once. Other code that was there before keeps it. Where others take the
//! signal, too, keep a [`Signals`] of it to the end of the program.
//!
//! As a task:
//!
//! ```no_run
//! use futures::StreamExt;
//! use selkie::signal::{SIGINT, SIGTERM, Signals};
//!
//! # fn main() -> std::io::Result<()> {
//! # selkie::block_on(async {
//! let mut signals = Signals::new([SIGINT, SIGTERM])?;
//! if let Some(signal) = signals.next().await {
//!     println!("{} came, so this ends", signal?);
//! }
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok(())
//! # }
//! ```
//!
//! As a key in an explicit loop, which needs no runtime:
//!
//! ```
//! use selkie::signal::{SIGUSR1, Signals};
//! use selkie::{DefaultSelector, Events, Interest};
//! # use rustix::process::{Signal, getpid, kill_process};
//!
//! # fn main() -> std::io::Result<()> {
//! let mut selector = DefaultSelector::new()?;
//! let signals = selector.register(Signals::new([SIGUSR1])?, Interest::READ, ())?;
//! # kill_process(getpid(), Signal::USR1)?;
//! let mut events = Events::new();
//! for (key, _readiness) in selector.select(&mut events, None)? {
//!     if key == signals {
//!         for signal in selector[key].source.pending() {
//!             println!("{signal} came");
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [signal-hook]: https://docs.rs/signal-hook-registry

// Layer 6. Invariant: nothing is lost between a handler and who waits, see `watch`.

mod disposition;
mod number;
mod watch;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use self::disposition::Hold;
use self::watch::Watch;
use crate::io::Async;
use crate::sys::{AsFd, AsRawFd, BorrowedFd, RawFd};

pub use self::number::*;

/// The signals of a set that come while this is alive.
///
/// As a stream it tells which signal came, and never ends. Several of one kind that come before
/// the stream is looked at may become one; of different kinds none hides another, and they come in
/// no particular order. The stream belongs to the runtime in which it is polled first.
///
/// Outside a runtime [`pending`](Self::pending) takes what came, and the descriptor is readable
/// when there may be something to take.
///
/// Dropped, what came and was not taken is lost, and each signal has its former action again if no
/// other `Signals` has it in its set.
pub struct Signals {
    // Before `watch`: it is taken out of the selector first.
    source: Option<Async<Arc<Watch>>>,
    holds: Vec<Hold>,
    watch: Arc<Watch>,
}

impl Signals {
    /// Takes the signals of `set` from now on; one that is named twice counts once.
    ///
    /// # Errors
    /// Of kind `InvalidInput` for an empty set, for a signal that cannot be caught (SIGKILL,
    /// SIGSTOP), for one that tells a fault of the program (SIGBUS, SIGFPE, SIGILL, SIGSEGV), and
    /// for a number that is no signal of this system; else as `eventfd(2)`, notably `EMFILE`. All
    /// signals are then left as they were.
    pub fn new<S: Into<Signal>>(set: impl IntoIterator<Item = S>) -> io::Result<Self> {
        let mut signals: Vec<Signal> = set.into_iter().map(Into::into).collect();
        signals.sort_unstable();
        signals.dedup();
        if signals.is_empty() {
            return Err(refused("no signal is named; name at least one, as SIGINT".to_owned()));
        }
        signals.iter().try_for_each(|signal| check(*signal))?;
        let watch = Arc::new(Watch::new(&signals)?);
        let hold = |(place, signal)| {
            let watch = Arc::clone(&watch);
            // SAFETY: `note` stores to an atomic and writes to a descriptor, and does not panic;
            // signals of faults have been refused.
            unsafe { Hold::new(signal, move || watch.note(place)) }
                .map_err(|error| unknown(signal, &error))
        };
        let holds = signals.into_iter().enumerate().map(hold).collect::<io::Result<_>>()?;
        Ok(Self { source: None, holds, watch })
    }

    /// Takes what came until now, one by one; nothing is waited for.
    ///
    /// For a key in an explicit loop. With [`Mode::Edge`](crate::Mode::Edge) go on until it
    /// returns `None`; in the other modes what is left is reported again.
    pub fn pending(&self) -> impl Iterator<Item = Signal> + '_ {
        std::iter::from_fn(|| self.watch.take())
    }
}

/// Each item is a signal that came.
///
/// # Errors
/// If the system refuses to watch the descriptor, or of kind `BrokenPipe` if the runtime in which
/// it was polled first is gone.
///
/// # Panics
/// If it is polled for the first time outside [`Runtime::block_on`](crate::Runtime::block_on),
/// [`Runtime::enter`](crate::Runtime::enter) and tasks.
///
/// # Cancel safety
/// A future that waits for the next item may be dropped at any time: no signal is lost.
impl Stream for Signals {
    type Item = io::Result<Signal>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { source, watch, .. } = &mut *self;
        let source = match source {
            Some(source) => source,
            None => match Async::new_nonblocking(Arc::clone(watch)) {
                Ok(new) => {
                    new.set_label(watch.name());
                    source.insert(new)
                }
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            },
        };
        let take = |watch: &Arc<Watch>| watch.take().ok_or(io::ErrorKind::WouldBlock.into());
        let polled = ready!(source.poll_read_with(cx, take));
        // What came before the error is told before it.
        Poll::Ready(Some(polled.or_else(|error| watch.take().ok_or(error))))
    }
}

/// Readable when there may be a signal to take.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signals").field(&self.holds).finish()
    }
}

/// Waits for Ctrl-C, which is SIGINT, from the call of this function on.
///
/// When the future is dropped, Ctrl-C has its former action again, which mostly ends the process.
/// So a program that hangs while it ends itself is ended by a second Ctrl-C.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// # selkie::block_on(async {
/// selkie::signal::ctrl_c().await?;
/// println!("shutting down");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The future ends with an error as [`Signals::new`] and the stream have.
///
/// # Cancel safety
/// The future may be dropped at any time; a Ctrl-C that came and was not told is lost then.
pub fn ctrl_c() -> CtrlC {
    CtrlC { signals: Signals::new([SIGINT]).map_err(Some) }
}

/// The future of [`ctrl_c`]; awaited again by `&mut`, it waits for the next Ctrl-C.
#[derive(Debug)]
#[must_use = "Ctrl-C does nothing until this is dropped; await it"]
pub struct CtrlC {
    /// The error, until it has been told.
    signals: Result<Signals, Option<io::Error>>,
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    /// # Panics
    /// If it has ended with an error of [`Signals::new`] before.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let came = match &mut self.signals {
            Ok(signals) => ready!(Pin::new(signals).poll_next(cx)),
            Err(error) => Some(Err(error.take().expect("polled again after its error"))),
        };
        Poll::Ready(came.expect("the stream does not end").map(drop))
    }
}

/// Refuses what must not be taken.
fn check(signal: Signal) -> io::Result<()> {
    match signal {
        SIGKILL | SIGSTOP => Err(refused(format!(
            "{signal} cannot be caught: the system acts on it alone; wait for one that asks the \
             process, as SIGTERM, SIGINT or SIGTSTP"
        ))),
        SIGBUS | SIGFPE | SIGILL | SIGSEGV => Err(refused(format!(
            "{signal} cannot be awaited: it tells a fault in the program, which runs into it again \
             as soon as the handler returns; handle it where it happens, with sigaction(2)"
        ))),
        _ => Ok(()),
    }
}

fn refused(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn unknown(signal: Signal, error: &io::Error) -> io::Error {
    let text =
        format!("{signal} cannot be taken: {error}; take one that this system has, see `kill -l`");
    io::Error::new(error.kind(), text)
}
