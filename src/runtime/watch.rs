//! Layer 4: looks at each poll of a batch, if the runtime was asked to; else costs nothing.
//! Invariant: a hook runs while nobody is polled and nothing is borrowed.

use std::cell::Cell;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::Runtime;
use super::slow_poll::SlowPoll;
use crate::executor::{Executor, More, Origin, TaskId};
use crate::panics::{catch, discard};
use crate::probe::Inside;

/// What is done before and after each poll of a batch.
pub(super) trait Watch {
    type Poll;
    /// The task of this origin is about to be polled.
    fn begin(&self, executor: &Executor, origin: &Origin) -> Self::Poll;
    /// The poll is over, and perhaps the task.
    fn end(&self, executor: &Executor, poll: Self::Poll);
}

/// Nobody looks.
pub(super) struct Unwatched;

impl Watch for Unwatched {
    type Poll = ();

    #[inline]
    fn begin(&self, executor: &Executor, origin: &Origin) {
        executor.set_polled(origin);
    }

    #[inline]
    fn end(&self, _executor: &Executor, (): ()) {}
}

/// Polls are recorded. One reading of the clock for each: what is between two polls counts as the
/// second one's.
pub(super) struct Recorded<'r>(pub(super) &'r Runtime);

impl Watch for Recorded<'_> {
    type Poll = ();

    #[inline]
    fn begin(&self, executor: &Executor, origin: &Origin) {
        executor.record_polled(origin);
    }

    #[inline]
    fn end(&self, executor: &Executor, (): ()) {
        executor.recorded_poll_has_ended();
        if executor.has_panicked() {
            self.0.tell_panic();
        }
    }
}

/// Dropped after the end of the turn; before that, in a panic.
impl Drop for Recorded<'_> {
    fn drop(&mut self) {
        let executor = &self.0.executor;
        if executor.reactor.probe.is_in_poll() {
            executor.recorded_poll_has_ended();
            self.0.root_panicked();
        }
    }
}

/// Polls are timed, or told to `tracing`, and recorded. The clock is read as for [`Recorded`].
pub(super) struct Watched<'r> {
    runtime: &'r Runtime,
    is_in_poll: Cell<bool>,
}

/// A poll that is under way. The task's origin may be gone at its end.
pub(super) struct Polled {
    id: TaskId,
    spawned_at: &'static Location<'static>,
    more: Option<Arc<More>>,
    _inside: Option<Inside>,
}

impl<'r> Watched<'r> {
    pub(super) fn new(runtime: &'r Runtime) -> Self {
        Self { runtime, is_in_poll: Cell::new(false) }
    }

    fn tell_slow(&self, executor: &Executor, poll: &Polled, took: Duration) {
        let Some(tells) = &self.runtime.slow_poll else { return };
        executor.between_polls(|| {
            let name = poll.more.as_ref().and_then(|more| more.name.clone());
            tells.tell(&SlowPoll::new(executor, (poll.id, name, poll.spawned_at), took));
        });
    }
}

impl Watch for Watched<'_> {
    type Poll = Polled;

    #[inline]
    fn begin(&self, executor: &Executor, origin: &Origin) -> Polled {
        let Origin { id, spawned_at, .. } = *origin;
        executor.watch_polled(origin);
        self.is_in_poll.set(true);
        let more = origin.more().cloned();
        let inside = more.as_ref().map(|more| more.span.enter());
        Polled { id, spawned_at, more, _inside: inside }
    }

    #[inline]
    fn end(&self, executor: &Executor, poll: Polled) {
        self.is_in_poll.set(false);
        executor.nobody_is_polled();
        let took = executor.poll_has_ended();
        if executor.has_panicked() {
            self.runtime.tell_panic();
        }
        if executor.reactor.probe.is_timed() {
            let took = Duration::from_nanos(took);
            if let Some(more) = &poll.more {
                more.add_poll(took);
            }
            if self.runtime.slow_poll.as_ref().is_some_and(|slow| took >= slow.limit) {
                self.tell_slow(executor, &poll, took);
            }
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if self.is_in_poll.take() {
            self.runtime.executor.nobody_is_polled();
            self.runtime.executor.poll_has_ended();
            self.runtime.root_panicked();
        }
    }
}

impl Runtime {
    /// A task has panicked in the poll that is over.
    #[cold]
    fn tell_panic(&self) {
        self.executor.between_polls(|| {
            if let Some(hook) = &self.after_panic {
                hook();
            }
        });
    }

    /// The future of a `block_on` panics: a task's panic is caught.
    #[cold]
    fn root_panicked(&self) {
        // A second panic would abort the process.
        catch(|| self.tell_panic()).unwrap_or_else(discard);
    }
}
