//! Layer 4: what a loop that is not the runtime's own asks of it.
//! Invariant: whatever a turn has to do, the descriptor or the deadline tells.

use std::io;
use std::time::{Duration, Instant};

use super::Runtime;
use crate::sys::{AsFd, AsRawFd, BorrowedFd, RawFd};

impl Runtime {
    /// When the earliest timer is due that a task waits for: a turn has something to do then.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.executor.reactor.next_deadline()
    }

    /// How long a foreign loop may sleep: not at all while a task can go on, else until the
    /// [`next_deadline`](Self::next_deadline); `None` is for ever, as in
    /// [`Selector::select`](crate::Selector::select).
    ///
    /// Ask before each sleep, and watch the [`descriptor`](Self::descriptor), which tells what comes
    /// meanwhile. A loop that counts in milliseconds has to round up, or it spins for the last one.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.has_ready_tasks() {
            return Some(Duration::ZERO);
        }
        self.next_deadline().map(|deadline| deadline.saturating_duration_since(self.now()))
    }

    /// The time by the runtime's clock, which its deadlines count by: that of its back end,
    /// usually the system's.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.executor.reactor.now()
    }

    /// True if a task can go on: a turn has something to do now.
    #[must_use]
    pub fn has_ready_tasks(&self) -> bool {
        self.executor.has_ready_tasks()
    }

    /// True while a turn or a `block_on` of this runtime is on the stack, where another one would
    /// panic.
    ///
    /// For a callback of a foreign loop that a task may run, as that of a modal dialog: the
    /// callback returns then without a turn. It should stop watching the runtime's descriptor
    /// until the outer turn is over, or a loop that watches by level calls it again at once.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.executor.is_running()
    }

    /// The descriptor of [`AsFd`].
    ///
    /// The first call opens it; it is one and the same from there on.
    ///
    /// # Errors
    /// Of kind `Unsupported` if the back end has none: poll(2) and select(2) are calls, not
    /// things. Else as `dup(2)`, if the system has none to spare; the next call tries again.
    pub fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(descriptor) = self.descriptor.get() {
            return Ok(descriptor.as_fd());
        }
        match self.executor.reactor.descriptor()? {
            Some(descriptor) => Ok(self.descriptor.get_or_init(|| descriptor).as_fd()),
            None => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this runtime's back end has no descriptor that another loop could watch; build \
                 the runtime with Builder::backend(BackendKind::DEFAULT)",
            )),
        }
    }
}

impl AsFd for Runtime {
    /// A descriptor to watch, by level, in a foreign loop: readable while a
    /// [`turn`](Runtime::turn) has something to do, be it I/O, a wake-up or a new task from any
    /// thread, tasks that the last turn had no room for, or, with [`Builder::timer_fd`](crate::Builder::timer_fd), a timer.
    ///
    /// # Panics
    /// Where [`descriptor`](Runtime::descriptor) returns an error: call that first.
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.descriptor() {
            Ok(descriptor) => descriptor,
            Err(error) => panic!("the runtime has no descriptor to lend: {error}"),
        }
    }
}

/// As [`AsFd`], for loops that take a number.
impl AsRawFd for Runtime {
    /// # Panics
    /// As `as_fd`.
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
