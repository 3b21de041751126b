//! Layer 5: the token that asks tasks to end. Invariant: a token and its children are cancelled
//! before a waiter of theirs is woken, and none of them is locked then.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::cancelled::{Cancelled, RunUntilCancelled};
use super::node::Node;
use crate::panics::FirstPanic;

/// A token that asks any number of tasks to end, on this thread or on others.
///
/// All clones are one token: [`cancel`](Self::cancel) on one of them is seen by all. To be
/// cancelled is a request: the tasks that wait for [`cancelled`](Self::cancelled) are woken, and
/// end when they see fit. It cannot be taken back.
///
/// ```
/// use selkie::{Cancel, spawn};
///
/// selkie::block_on(async {
///     let cancel = Cancel::new();
///     let child = cancel.child();
///     let task = spawn(async move {
///         child.cancelled().await;
///         "asked to end"
///     });
///     cancel.cancel();
///     assert_eq!(task.await, "asked to end");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Cancel {
    node: Arc<Node>,
}

impl Cancel {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that is cancelled with this one, or before it by itself, which this one does not
    /// notice. The child of a cancelled token is cancelled.
    ///
    /// A child that is dropped with all its clones leaves nothing behind in this token.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { node: self.node.child() }
    }

    /// Cancels the token and all its children, and wakes those who wait for it. Does nothing if
    /// it is cancelled already.
    ///
    /// When the first waiter is woken, all children are cancelled.
    ///
    /// # Panics
    /// With the panic of a waker that panics; the others are woken all the same.
    pub fn cancel(&self) {
        let mut first = FirstPanic::default();
        for waker in self.node.cancel() {
            first.watch(|| waker.wake());
        }
        first.resume();
    }

    /// True if the token is cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Waits until the token is cancelled. The future keeps the token, so it may be kept and moved
    /// on its own.
    ///
    /// # Cancel safety
    /// May be dropped at any time: it leaves no waiter behind.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled::new(Arc::clone(&self.node))
    }

    /// Gives `future` until the token is cancelled: `Some` of its value, or `None` if the token
    /// was cancelled before it had one. The future is then dropped with this one.
    ///
    /// ```
    /// use std::future::pending;
    /// use selkie::Cancel;
    ///
    /// selkie::block_on(async {
    ///     let cancel = Cancel::new();
    ///     assert_eq!(cancel.run_until_cancelled(async { 7 }).await, Some(7));
    ///     cancel.cancel();
    ///     assert_eq!(cancel.run_until_cancelled(pending::<()>()).await, None);
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Cancel safety
    /// As that of `future`. A value that is there is returned, though the token be cancelled.
    pub fn run_until_cancelled<F: Future>(&self, future: F) -> RunUntilCancelled<F> {
        RunUntilCancelled::new(future, self.cancelled())
    }

    /// How many wait for the token, and how many children it has.
    #[cfg(all(test, not(loom)))]
    fn links(&self) -> (usize, usize) {
        self.node.links()
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("is_cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod loom;

#[cfg(all(test, not(loom)))]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::Cancel;

    #[test]
    fn a_wait_that_is_given_up_leaves_no_waiter_behind() {
        let cancel = Cancel::new();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            let mut waits = [pin!(cancel.cancelled()), pin!(cancel.cancelled())];
            for wait in &mut waits {
                assert_eq!(wait.as_mut().poll(&mut cx), Poll::Pending);
                assert_eq!(wait.as_mut().poll(&mut cx), Poll::Pending);
            }
            assert_eq!(cancel.links(), (2, 0), "one for each");
        }
        assert_eq!(cancel.links(), (0, 0));
    }

    #[test]
    fn a_child_that_is_dropped_leaves_nothing_in_its_parent() {
        let cancel = Cancel::new();
        let kept = cancel.child();
        for _ in 0..10 {
            let child = cancel.child();
            let clone = child.clone();
            let _grandchild = clone.child();
            drop(child);
            assert_eq!(cancel.links(), (0, 2), "a clone keeps it");
        }
        assert_eq!(cancel.links(), (0, 1));
        assert_eq!(kept.links(), (0, 0));
    }

    #[test]
    fn a_grandchild_is_cancelled_though_nobody_holds_the_token_between() {
        let cancel = Cancel::new();
        let grandchild = cancel.child().child();
        assert_eq!(cancel.links(), (0, 1));
        cancel.cancel();
        assert!(grandchild.is_cancelled());
        assert_eq!(cancel.links(), (0, 0));
        drop(grandchild);
        assert!(cancel.child().is_cancelled());
        assert_eq!(cancel.links(), (0, 0), "a cancelled token has nobody to tell");
    }

    #[test]
    fn a_hundred_thousand_generations_are_cancelled_and_dropped_without_recursion() {
        let root = Cancel::new();
        let youngest = (0..100_000).fold(root.clone(), |parent, _| parent.child());
        root.cancel();
        assert!(youngest.is_cancelled());
        drop(root);
        drop(youngest);
        let root = Cancel::new();
        let youngest = (0..100_000).fold(root.clone(), |parent, _| parent.child());
        drop(root);
        drop(youngest);
    }
}
