//! The token: who is woken, from where, and what is left behind.

use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread;

use futures::FutureExt;
use futures::future::FusedFuture;
use selkie::{Cancel, spawn, yield_now};

use crate::util::{Bomb, OnDrop, Trace, Wakes, run};

#[test]
fn a_token_crosses_threads_and_so_do_its_futures() {
    fn crosses<T: Send + Sync + 'static>(_: T) {}
    crosses(Cancel::new());
    crosses(Cancel::new().cancelled());
}

#[test]
fn a_token_is_cancelled_from_another_thread_while_the_loop_sleeps() {
    run(async {
        let cancel = Cancel::new();
        let other = cancel.clone();
        let waits = spawn(async move { cancel.cancelled().await });
        yield_now().await;
        let thread = thread::spawn(move || other.cancel());
        waits.await;
        thread.join().unwrap();
    });
}

#[test]
fn every_task_that_waits_is_woken_once() {
    let cancel = Cancel::new();
    let waiters: Vec<_> = (0..3).map(|_| (Wakes::new(), Box::pin(cancel.cancelled()))).collect();
    let waiters: Vec<_> = waiters
        .into_iter()
        .map(|((wakes, waker), mut wait)| {
            let mut cx = Context::from_waker(&waker);
            assert!(wait.as_mut().poll(&mut cx).is_pending());
            assert!(wait.as_mut().poll(&mut cx).is_pending());
            (wakes, wait)
        })
        .collect();
    cancel.cancel();
    cancel.cancel();
    for (wakes, mut wait) in waiters {
        assert_eq!(wakes.count(), 1);
        assert!(!wait.is_terminated());
        assert_eq!(wait.as_mut().now_or_never(), Some(()));
        assert!(wait.is_terminated());
    }
}

#[test]
fn a_wait_that_moves_to_another_task_wakes_that_one() {
    let cancel = Cancel::new();
    let mut wait = pin!(cancel.cancelled());
    let ((first, first_waker), (second, second_waker)) = (Wakes::new(), Wakes::new());
    assert!(wait.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
    assert!(wait.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
    cancel.cancel();
    assert_eq!((first.count(), second.count()), (0, 1));
}

#[test]
fn a_wait_that_is_given_up_is_not_woken_and_keeps_no_waker() {
    let cancel = Cancel::new();
    let (wakes, waker) = Wakes::new();
    let mut wait = Box::pin(cancel.cancelled());
    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(wait);
    drop(waker);
    assert_eq!(Arc::strong_count(&wakes), 1);
    cancel.cancel();
    assert_eq!(wakes.count(), 0);
}

#[test]
fn a_token_cancels_its_children_and_not_its_parent_or_its_siblings() {
    let parent = Cancel::new();
    let [first, second] = [parent.child(), parent.child()];
    let grandchild = first.child();
    first.cancel();
    let state = || [&parent, &first, &second, &grandchild].map(Cancel::is_cancelled);
    assert_eq!(state(), [false, true, false, true]);
    parent.cancel();
    assert_eq!(state(), [true; 4]);
    assert!(parent.child().is_cancelled());
    assert_eq!(parent.child().cancelled().now_or_never(), Some(()));
}

/// A waker that looks at all tokens when it is woken.
struct Looks(Vec<Cancel>);

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        assert!(self.0.iter().all(Cancel::is_cancelled));
        // Nothing is locked: a waker may do anything with them.
        self.0.iter().for_each(|cancel| {
            cancel.cancel();
            drop(cancel.child());
            assert_eq!(cancel.cancelled().now_or_never(), Some(()));
        });
    }
}

#[test]
fn when_the_first_waiter_is_woken_all_children_are_cancelled_and_nothing_is_locked() {
    let parent = Cancel::new();
    let family = vec![parent.clone(), parent.child(), parent.child(), parent.child().child()];
    let waker = Arc::new(Looks(family.clone())).into();
    let mut cx = Context::from_waker(&waker);
    let mut waits: Vec<_> = family.iter().map(|cancel| Box::pin(cancel.cancelled())).collect();
    waits.iter_mut().for_each(|wait| assert!(wait.as_mut().poll(&mut cx).is_pending()));
    parent.cancel();
}

#[test]
fn a_waker_that_panics_keeps_no_other_from_being_woken() {
    let cancel = Cancel::new();
    let (wakes, waker) = Wakes::new();
    let panics = Bomb::waker();
    let mut waits = [&waker, &panics, &waker].map(|waker| {
        let mut wait = Box::pin(cancel.cancelled());
        assert!(wait.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        wait
    });
    let payload = catch_unwind(AssertUnwindSafe(|| cancel.cancel())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"the waker's panic"));
    assert_eq!(wakes.count(), 2);
    waits.iter_mut().for_each(|wait| assert_eq!(wait.now_or_never(), Some(())));
}

#[test]
fn a_future_runs_until_the_token_is_cancelled_and_is_dropped_then() {
    run(async {
        let (cancel, trace) = (Cancel::new(), Trace::default());
        let (other, trace_of_drop) = (cancel.clone(), trace.clone());
        let task = spawn(async move {
            let guard = OnDrop(move || trace_of_drop.add("dropped"));
            other
                .run_until_cancelled(async move {
                    let _guard = guard;
                    pending::<()>().await;
                })
                .await
        });
        yield_now().await;
        assert_eq!(trace.take(), [""; 0]);
        cancel.cancel();
        assert_eq!(task.await, None);
        assert_eq!(trace.take(), ["dropped"]);
    });
}

#[test]
fn a_value_that_is_there_is_not_lost_to_a_token_that_is_cancelled() {
    let cancel = Cancel::new();
    cancel.cancel();
    assert_eq!(cancel.run_until_cancelled(ready(7)).now_or_never(), Some(Some(7)));
}

/// A future that cancels its own token while it is polled.
struct CancelsItself(Cancel);

impl Future for CancelsItself {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        self.0.cancel();
        Poll::Pending
    }
}

#[test]
fn a_token_that_a_future_cancels_in_its_own_poll_ends_it_in_that_poll() {
    let cancel = Cancel::new();
    let run = cancel.run_until_cancelled(CancelsItself(cancel.clone()));
    assert_eq!(run.now_or_never(), Some(None));
}
