//! Layer 5: the end of a group within a time. Invariant: whoever gives up waiting for it has the
//! last word: the group is dropped by then, or can be.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::group::TaskGroup;
use super::state::Ended;
use crate::runtime::yield_now;
use crate::time::sleep;

/// What became of the tasks of a group that was [shut down](TaskGroup::shutdown).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// Tasks that ended by themselves.
    pub finished: usize,
    /// Tasks that were cancelled, when the time was up or before, and those that were spawned too
    /// late.
    pub cancelled: usize,
    /// Tasks that panicked, of a group that returns panics
    /// ([`OnPanic::Return`](super::OnPanic::Return)).
    pub panicked: usize,
}

impl Shutdown {
    fn between(before: Ended, after: Ended) -> Self {
        Self {
            finished: after.finished - before.finished,
            cancelled: after.cancelled - before.cancelled,
            panicked: after.panicked - before.panicked,
        }
    }
}

impl<T> TaskGroup<T> {
    /// Ends the group: takes no new tasks, asks those that run to end, by the group's
    /// [`token`](Self::token), cancels what is left when `grace` has passed, and waits until all
    /// futures are dropped. Returns how many of the tasks that were running ended in which way.
    ///
    /// Their values can be asked for afterwards, by [`join_next`](Self::join_next).
    ///
    /// ```
    /// use std::future::pending;
    /// use std::time::Duration;
    /// use selkie::TaskGroup;
    ///
    /// selkie::block_on(async {
    ///     let mut group = TaskGroup::new();
    ///     let token = group.token().clone();
    ///     group.spawn(async move { token.cancelled().await });
    ///     group.spawn(pending());
    ///     let ended = group.shutdown(Duration::from_millis(10)).await;
    ///     assert_eq!((ended.finished, ended.cancelled), (1, 1));
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    /// If a task panicked, now or before, with that panic, once all tasks have ended; see
    /// [`OnPanic`](super::OnPanic). As [`sleep`](crate::sleep).
    ///
    /// # Cancel safety
    /// May be dropped at any time. The group takes no tasks then, and those that are left run on
    /// until they have ended, the group is dropped, or `shutdown` is called again.
    pub async fn shutdown(&mut self, grace: Duration) -> Shutdown {
        let before = self.shared().ended();
        self.close();
        // Without any grace, too, what can end now does.
        yield_now().await;
        let mut grace = pin!(sleep(grace));
        let mut is_over = false;
        poll_fn(|cx| {
            // First: with the last task the time does not matter any more.
            if self.poll_all_ended(cx).is_ready() {
                return Poll::Ready(());
            }
            if !is_over && grace.as_mut().poll(cx).is_ready() {
                is_over = true;
                self.cancel_all();
            }
            Poll::Pending
        })
        .await;
        Shutdown::between(before, self.shared().ended())
    }
}
