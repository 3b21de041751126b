//! Layer 4: gives the other tasks a turn.
//! Invariant: pending at most once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::executor::current;

/// Lets the other tasks that can go on, and after some turns I/O, have their turn.
///
/// # Cancel safety
/// May be dropped at any time.
pub fn yield_now() -> YieldNow {
    YieldNow { has_yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct YieldNow {
    has_yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_yielded {
            return Poll::Ready(());
        }
        self.has_yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Counts one operation of the budget that each poll of a task has; yields if it is used up.
///
/// I/O of this crate does that by itself. A task that awaits other things, a channel that never
/// runs empty or a stream of another crate, would make one endless poll, in which nobody else has
/// a turn; with `consume_budget().await` in its loop it goes on at full speed for some operations
/// ([`Builder::operations_per_poll`](crate::Builder::operations_per_poll)) and yields then.
///
/// ```
/// use futures::StreamExt;
///
/// selkie::block_on(async {
///     let mut numbers = futures::stream::iter(0..1000);
///     while let Some(_number) = numbers.next().await {
///         selkie::consume_budget().await;
///     }
/// });
/// ```
///
/// Outside a runtime it is ready at once.
///
/// # Cancel safety
/// May be dropped at any time.
pub fn consume_budget() -> ConsumeBudget {
    ConsumeBudget { yields: yield_now() }
}

/// The future of [`consume_budget`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct ConsumeBudget {
    yields: YieldNow,
}

impl Future for ConsumeBudget {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let has_left = current::with(|executor| {
            let budget = executor.reactor.budget();
            let has_left = budget.has_left();
            if has_left {
                budget.spend();
            }
            has_left
        });
        if has_left == Some(false) { Pin::new(&mut self.yields).poll(cx) } else { Poll::Ready(()) }
    }
}
