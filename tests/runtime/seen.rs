//! Who looks at the tasks while one of them ends does not see it any more: its memory may be gone.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};

use selkie::task::{TaskId, TaskState};
use selkie::{Task, inspect, spawn, yield_now};

use crate::util::{OnDrop, run};

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
    /// Those that were seen running, other than the root.
    static SEEN: RefCell<Vec<TaskId>> = const { RefCell::new(Vec::new()) };
}

/// Looks, and notes it: a waker of a task's handle must not panic.
fn look() {
    let tasks = inspect::tasks();
    let running = tasks.iter().filter(|task| task.state == TaskState::Running);
    let ids = running.map(|task| task.id).filter(|id| id.get() != 0);
    SEEN.with_borrow_mut(|seen| seen.extend(ids));
    LOOKS.set(LOOKS.get() + 1);
}

struct Looks;

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        look();
    }
}

/// A task that ends in its second poll, drops `kept` then, and is awaited by somebody who looks
/// when it has ended.
fn looked_at<T: 'static>(value: T, kept: impl Sized + 'static) -> Task<T> {
    let mut value = Some(value);
    let mut turns = 0;
    let mut task = spawn(poll_fn(move |cx| {
        let _kept = &kept;
        turns += 1;
        if turns == 2 {
            return Poll::Ready(value.take().unwrap());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    let waker = Arc::new(Looks).into();
    assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
    task
}

#[test]
fn who_looks_when_a_task_has_ended_does_not_see_it() {
    run(async {
        looked_at((), ()).detach();
        looked_at(OnDrop(look), ()).detach();
        looked_at((), OnDrop(|| resume_unwind(Box::new("on purpose")))).detach();
        let cancelled = looked_at((), ());
        yield_now().await;
        drop(cancelled);
        drop(looked_at((), ()));
        spawn(async { OnDrop(look) }).detach();
        for _ in 0..3 {
            yield_now().await;
        }
    });
    assert_eq!((LOOKS.get(), SEEN.take()), (7, vec![]));
}
