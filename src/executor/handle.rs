//! Layer 3: async-task's handle on a task, and the task's origin.
//! Invariant: the origin is that of the handle's task.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use async_task::FallibleTask;

use super::ended::Ended;
use super::id::TaskId;
use super::origin::OriginRef;
use super::shared::{Origin, Runnable};
use super::{Executor, current};

/// What is known of a task when it is gone, too.
#[derive(Clone, Copy)]
pub(super) struct Who {
    pub(super) id: TaskId,
    pub(super) spawned_at: &'static Location<'static>,
}

pub(super) struct Inner<T> {
    task: FallibleTask<Ended<T>, Origin>,
    origin: OriginRef,
}

impl<T> Inner<T> {
    /// The two are of one task.
    #[inline]
    pub(super) fn new(runnable: &Runnable, task: async_task::Task<Ended<T>, Origin>) -> Self {
        let origin = runnable.metadata();
        debug_assert!(std::ptr::eq(origin, task.metadata()), "these are two tasks");
        Self { origin: OriginRef::new(origin), task: task.fallible() }
    }

    pub(super) fn who(&self) -> Who {
        let Origin { id, spawned_at, .. } = *self.origin();
        Who { id, spawned_at }
    }

    fn origin(&self) -> &Origin {
        // SAFETY: `self.task` is the handle, and lives as long as the reference.
        unsafe { self.origin.get() }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Ended<T>>> {
        let polled = Pin::new(&mut self.task).poll(cx);
        if polled.is_pending() {
            let origin = self.origin();
            let awaits = |executor: &Rc<Executor>| {
                if executor.serves(&origin.shared) { executor.running_id() } else { None }
            };
            origin.set_awaited_by(current::with(awaits).flatten());
        }
        polled
    }

    pub(super) fn detach(self) {
        self.origin().set_awaited_by(None);
        self.task.detach();
    }

    pub(super) fn cancel(self) -> impl Future<Output = Option<Ended<T>>> {
        self.task.cancel()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}
