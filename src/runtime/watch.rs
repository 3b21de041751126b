//! Layer 4: looks at each poll of a batch, if the runtime was asked to; else costs nothing.
//! Invariant: a hook runs while nobody is polled and nothing is borrowed.

use std::panic::Location;
use std::sync::Arc;

use super::Runtime;
use super::slow_poll::SlowPoll;
use crate::executor::{Executor, More, Origin, TaskId};

/// What is done before and after each poll of a batch.
pub(super) trait Watch {
    type Poll;
    /// The task of this origin is about to be polled.
    fn begin(&self, executor: &Executor, origin: &Origin) -> Self::Poll;
    /// The poll is over, and perhaps the task.
    fn end(&self, runtime: &Runtime, poll: Self::Poll);
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
    fn end(&self, _runtime: &Runtime, (): ()) {}
}

/// Polls are timed. One reading of the clock for each: what is between two polls counts as the
/// second one's.
pub(super) struct Watched;

/// A poll that is under way. The task's origin may be gone at its end.
pub(super) struct Polled {
    id: TaskId,
    spawned_at: &'static Location<'static>,
    more: Option<Arc<More>>,
    began: u64,
}

impl Watch for Watched {
    type Poll = Polled;

    fn begin(&self, executor: &Executor, origin: &Origin) -> Polled {
        let Origin { id, spawned_at, .. } = *origin;
        let began = executor.watch_polled(origin);
        Polled { id, spawned_at, more: origin.more().cloned(), began }
    }

    fn end(&self, runtime: &Runtime, poll: Polled) {
        let Polled { id, spawned_at, more, began } = poll;
        let executor = &*runtime.executor;
        let took = executor.poll_has_ended(began);
        if let Some(more) = &more {
            more.add_poll(took);
        }
        let Some(slow) = &runtime.slow_poll else { return };
        if took < slow.limit {
            return;
        }
        let name = more.and_then(|more| more.name.clone());
        let told = SlowPoll::new(executor, (id, name, spawned_at), took);
        slow.tell(&told);
    }
}
