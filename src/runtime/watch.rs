//! Layer 4: looks at each poll of a batch, if the runtime was asked to; else costs nothing.
//! Invariant: a hook runs while nobody is polled and nothing is borrowed.

use std::cell::Cell;
use std::panic::Location;
use std::sync::Arc;

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
    fn end(&self, poll: Self::Poll);
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
    fn end(&self, (): ()) {}
}

/// Polls are timed, or recorded. One reading of the clock for each: what is between two polls counts
/// as the second one's.
pub(super) struct Watched<'r> {
    runtime: &'r Runtime,
    /// The task whose poll is under way.
    polled: Cell<Option<TaskId>>,
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
        Self { runtime, polled: Cell::new(None) }
    }

    fn tell_slow(&self, slow: &SlowPoll) {
        if let Some(tells) = &self.runtime.slow_poll {
            tells.tell(slow);
        }
    }
}

impl Watch for Watched<'_> {
    type Poll = Polled;

    #[inline]
    fn begin(&self, executor: &Executor, origin: &Origin) -> Polled {
        let Origin { id, spawned_at, .. } = *origin;
        executor.watch_polled(origin);
        self.polled.set(Some(id));
        let more = origin.more().cloned();
        let inside = more.as_ref().map(|more| more.span.enter());
        Polled { id, spawned_at, more, _inside: inside }
    }

    #[inline]
    fn end(&self, poll: Polled) {
        self.polled.set(None);
        let Polled { id, spawned_at, more, _inside } = poll;
        let executor = &*self.runtime.executor;
        let took = executor.poll_has_ended(id);
        if executor.take_panicked()
            && let Some(hook) = &self.runtime.after_panic
        {
            hook();
        }
        if executor.reactor.probe.is_timed() {
            if let Some(more) = &more {
                more.add_poll(took);
            }
            if self.runtime.slow_poll.as_ref().is_some_and(|slow| took >= slow.limit) {
                let name = more.and_then(|more| more.name.clone());
                self.tell_slow(&SlowPoll::new(executor, (id, name, spawned_at), took));
            }
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        // The future of a `block_on` has panicked: a task's panic is caught.
        if let Some(id) = self.polled.take() {
            self.runtime.executor.poll_has_ended(id);
            if let Some(hook) = &self.runtime.after_panic {
                // A second panic would abort the process.
                catch(|| hook()).unwrap_or_else(discard);
            }
        }
    }
}
