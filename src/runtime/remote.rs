//! Layer 4: the runtime as other threads see it.
//! Invariant: a future is made, polled and dropped on the runtime's thread;
//! only the closure that makes it crosses over.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::sync::Arc;

use crate::executor::{self, Name, RunningTask, Shared, Task, current};

/// A handle on a [`Runtime`](crate::Runtime) for other threads: spawns tasks and wakes the loop.
///
/// It does not keep the runtime alive.
#[derive(Clone)]
pub struct Remote {
    shared: Arc<Shared>,
}

impl Remote {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// A handle on the current runtime, for a task that goes to tell other threads of it.
    ///
    /// # Panics
    /// If called outside [`Runtime::block_on`](crate::Runtime::block_on),
    /// [`Runtime::enter`](crate::Runtime::enter) and tasks.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        Self::new(Arc::clone(current::expect().shared()))
    }

    /// Spawns a task on the runtime, from any thread. The closure goes to the runtime's thread
    /// and makes the future there, so that the future itself need not be `Send`.
    ///
    /// The [`Task`] may be awaited, dropped or detached on any thread.
    ///
    /// # Errors
    /// Of kind `BrokenPipe` if the runtime is gone; the closure is dropped then.
    #[track_caller]
    pub fn spawn<M, F>(&self, make: M) -> io::Result<Task<F::Output>>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_as(None, make)
    }

    /// As [`spawn`](Self::spawn), with a name for the [table of tasks](crate::inspect).
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_named<M, F>(
        &self,
        name: impl Into<Cow<'static, str>>,
        make: M,
    ) -> io::Result<Task<F::Output>>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_as(Some(name.into()), make)
    }

    #[track_caller]
    fn spawn_as<M, F>(&self, name: Option<Name>, make: M) -> io::Result<Task<F::Output>>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let future = async move { make().await };
        let (runnable, task) = executor::spawn(self.shared.origin(None, name), future);
        match self.shared.inbox.push_new(runnable) {
            Ok(()) => Ok(task),
            Err(runnable) => {
                // Before its first poll the future is the closure, which is `Send`: it may be
                // dropped here.
                drop(runnable);
                Err(io::Error::new(
                    io::ErrorKind::BrokenPipe,
                    "the runtime of this remote is gone, so nothing can be spawned on it; keep \
                     the runtime alive for as long as others use it",
                ))
            }
        }
    }

    /// The task that is being polled just now, and since when; read without asking the loop, so that
    /// a thread that watches it sees a poll that does not end. `None` if none is, or the runtime does
    /// not [time](crate::Builder::timing) its polls.
    #[must_use]
    pub fn running(&self) -> Option<RunningTask> {
        self.shared.running.as_ref()?.get()
    }

    /// Ends the current turn's wait, or the next one's.
    pub fn notify(&self) {
        self.shared.inbox.notify();
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

const _: () = {
    const fn crosses_threads<T: Send + Sync + Clone>() {}
    crosses_threads::<Remote>();
    assert!(mem::size_of::<Remote>() == mem::size_of::<usize>());
};
