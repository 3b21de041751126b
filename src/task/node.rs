//! Layer 5: what the clones of a token have in common. A child holds its parent, and the parent
//! knows the child by a weak reference. Invariant: nothing here calls, clones or drops a waker while
//! a node is locked; and a node that is cancelled has no waiter and no child.

use std::mem;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, PoisonError, Weak};
use std::task::Waker;

use crate::slots::{SlotKey, Slots};
use crate::sync::{AtomicBool, Mutex, MutexGuard};

pub(super) struct Node {
    is_cancelled: AtomicBool,
    links: Mutex<Links>,
    parent: Option<Parent>,
}

/// Those who are told when the token is cancelled.
#[derive(Default)]
struct Links {
    waiters: Slots<Waker>,
    children: Slots<Weak<Node>>,
}

struct Parent {
    node: Arc<Node>,
    /// This child's place among the parent's.
    slot: SlotKey,
}

impl Default for Node {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Node {
    fn new(parent: Option<Parent>) -> Self {
        Self { is_cancelled: AtomicBool::new(false), links: Mutex::new(Links::default()), parent }
    }

    fn lock(&self) -> MutexGuard<'_, Links> {
        // No code of a user runs under the lock, so a poisoned one is as good as any.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node that is cancelled with this one.
    pub(super) fn child(self: &Arc<Self>) -> Arc<Self> {
        let mut child = Self::new(None);
        let mut links = self.lock();
        if self.is_cancelled() {
            child.is_cancelled = AtomicBool::new(true);
            return Arc::new(child);
        }
        let slot = links.children.insert(Weak::new());
        child.parent = Some(Parent { node: Arc::clone(self), slot });
        let child = Arc::new(child);
        if let Some(place) = links.children.get_mut(slot) {
            *place = Arc::downgrade(&child);
        }
        child
    }

    /// Cancels this node and all below it. Returns the waiters, which the caller wakes.
    #[must_use]
    pub(super) fn cancel(self: &Arc<Self>) -> Vec<Waker> {
        let mut nodes = vec![Arc::clone(self)];
        let mut waiters = Vec::new();
        // A list in place of a recursion: there may be many generations.
        while let Some(node) = nodes.pop() {
            let mut links = node.lock();
            if node.is_cancelled.swap(true, SeqCst) {
                continue;
            }
            let Links { waiters: waiting, children } = mem::take(&mut *links);
            drop(links);
            waiters.extend(waiting.into_values());
            nodes.extend(children.into_values().filter_map(|child| child.upgrade()));
        }
        waiters
    }

    /// How many wait for the token, and how many children it has.
    #[cfg(all(test, not(loom)))]
    pub(super) fn links(&self) -> (usize, usize) {
        let links = self.lock();
        (links.waiters.len(), links.children.len())
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(SeqCst)
    }

    /// True if the waiter in `slot` is there already, with a waker of the same task.
    pub(super) fn has_waiter(&self, slot: Option<SlotKey>, waker: &Waker) -> bool {
        let links = self.lock();
        slot.and_then(|slot| links.waiters.get(slot)).is_some_and(|kept| kept.will_wake(waker))
    }

    /// Puts a waiter into its slot, or into a new one. Returns a waker that is not kept: the one
    /// that was there, or `waker` itself if the token is cancelled.
    pub(super) fn put_waiter(&self, slot: &mut Option<SlotKey>, waker: Waker) -> Option<Waker> {
        let mut links = self.lock();
        if self.is_cancelled() {
            return Some(waker);
        }
        match slot.and_then(|slot| links.waiters.get_mut(slot)) {
            Some(kept) => Some(mem::replace(kept, waker)),
            None => {
                *slot = Some(links.waiters.insert(waker));
                None
            }
        }
    }

    pub(super) fn remove_waiter(&self, slot: SlotKey) -> Option<Waker> {
        self.lock().waiters.remove(slot)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A loop in place of a recursion: the parent may have no other owner, nor its parent.
        let mut parent = self.parent.take();
        while let Some(Parent { node, slot }) = parent {
            let weak = node.lock().children.remove(slot);
            drop(weak);
            parent = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}
