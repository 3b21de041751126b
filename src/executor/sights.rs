//! Layer 3: what an executor keeps for those who look at it from outside.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::counters::Counters;
use super::origin::OriginRef;
use super::shared::Origin;

pub(super) struct Sights {
    /// The task, or the root, whose poll is on the stack.
    pub(super) polled: Cell<Option<OriginRef>>,
    pub(super) root: RefCell<Option<Root>>,
    /// The latest time that was read for a new task, in nanoseconds, and the turn that it was in.
    pub(super) recent: Cell<(u64, u64)>,
    pub(super) counters: Counters,
    /// A task has panicked since this was asked last.
    pub(super) has_panicked: Cell<bool>,
}

/// The future of a `block_on`, as it is seen from outside.
pub(crate) trait Rooted {
    fn origin(&self) -> &Origin;
    fn is_woken(&self) -> bool;
}

pub(super) struct Root {
    pub(super) root: Arc<dyn Rooted>,
    /// The data of its waker.
    pub(super) waker: *const (),
}

impl Sights {
    pub(super) fn new() -> Self {
        Self {
            polled: Cell::new(None),
            root: RefCell::default(),
            recent: Cell::new((u64::MAX, 0)),
            counters: Counters::default(),
            has_panicked: Cell::new(false),
        }
    }
}
