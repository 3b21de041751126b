//! Layer 5: the future of a task in a group. Invariant: the group is told of its end exactly once,
//! whichever way it ends, and after the task's own future is dropped.

use std::future::Future;
use std::pin::Pin;
use std::rc::Weak;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::state::{End, Shared};
use crate::slots::SlotKey;

pin_project! {
    pub(super) struct Member<F, T> {
        // `None`: it has ended. Before `place`, which tells of the end.
        #[pin]
        future: Option<F>,
        place: Place<T>,
    }
}

/// A task's place in its group.
struct Place<T> {
    /// Weak: a task that is leaked must not keep the results of the others.
    group: Weak<Shared<T>>,
    /// `None`: the group was told of the end.
    slot: Option<SlotKey>,
    /// True while the task's future is polled, and from there on if it panicked.
    is_polling: bool,
}

impl<F, T> Member<F, T> {
    pub(super) fn new(future: F, group: Weak<Shared<T>>, slot: SlotKey) -> Self {
        let place = Place { group, slot: Some(slot), is_polling: false };
        Self { future: Some(future), place }
    }
}

impl<F: Future<Output = T>, T> Future for Member<F, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Ready(()) };
        this.place.is_polling = true;
        let polled = future.poll(cx);
        if polled.is_ready() {
            // Its destructor may panic: then the task has no value.
            this.future.set(None);
        }
        this.place.is_polling = false;
        this.place.end(End::Value(ready!(polled)));
        Poll::Ready(())
    }
}

impl<T> Place<T> {
    fn end(&mut self, end: End<T>) {
        if let (Some(slot), Some(group)) = (self.slot.take(), self.group.upgrade()) {
            group.end(slot, end);
        }
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        self.end(if self.is_polling { End::Panicked } else { End::Cancelled });
    }
}
