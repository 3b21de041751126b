//! Scenarios that count: how often a future is polled and dropped, and its output dropped, for
//! each order of events in the life of a task.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use selkie::{Runtime, Task};

use crate::util::{runtime, settle};

/// What is counted of one future.
#[derive(Default)]
struct Counts {
    polls: Cell<usize>,
    futures_dropped: Cell<usize>,
    outputs_dropped: Cell<usize>,
    /// The waker of the last poll.
    waker: RefCell<Option<Waker>>,
    may_end: Cell<bool>,
    wakes_itself: Cell<usize>,
}

impl Counts {
    fn wake(&self) {
        self.waker.borrow().as_ref().expect("it was polled").wake_by_ref();
    }

    /// Polls, dropped futures, dropped outputs.
    fn read(&self) -> [usize; 3] {
        [&self.polls, &self.futures_dropped, &self.outputs_dropped].map(Cell::get)
    }
}

struct Counted(Rc<Counts>);
struct Output(Rc<Counts>);

impl Future for Counted {
    type Output = Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        let counts = &self.0;
        counts.polls.set(counts.polls.get() + 1);
        *counts.waker.borrow_mut() = Some(cx.waker().clone());
        if counts.may_end.get() {
            return Poll::Ready(Output(Rc::clone(counts)));
        }
        for _ in 0..counts.wakes_itself.take() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.futures_dropped.set(self.0.futures_dropped.get() + 1);
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.outputs_dropped.set(self.0.outputs_dropped.get() + 1);
    }
}

fn spawn_on(runtime: &Runtime) -> (Rc<Counts>, Task<Output>) {
    let counts = Rc::new(Counts::default());
    (Rc::clone(&counts), runtime.spawn(Counted(counts)))
}

fn spawned() -> (Runtime, Rc<Counts>, Task<Output>) {
    let runtime = runtime();
    let (counts, task) = spawn_on(&runtime);
    (runtime, counts, task)
}

#[test]
fn a_task_that_ends_at_once_is_polled_once_and_its_output_belongs_to_the_awaiter() {
    let (runtime, counts, task) = spawned();
    assert_eq!(counts.read(), [0, 0, 0]);
    counts.may_end.set(true);
    settle(&runtime);
    assert_eq!(counts.read(), [1, 1, 0]);
    drop(runtime.block_on(task));
    assert_eq!(counts.read(), [1, 1, 1]);
}

#[test]
fn a_task_that_waits_is_polled_once_for_each_wake() {
    let (runtime, counts, _task) = spawned();
    settle(&runtime);
    settle(&runtime);
    assert_eq!(counts.read(), [1, 0, 0]);
    for polls in 2..5 {
        counts.wake();
        settle(&runtime);
        assert_eq!(counts.read(), [polls, 0, 0]);
    }
}

#[test]
fn any_number_of_wakes_before_a_poll_make_one_poll() {
    let (runtime, counts, _task) = spawned();
    settle(&runtime);
    (0..5).for_each(|_| counts.wake());
    settle(&runtime);
    assert_eq!(counts.read(), [2, 0, 0]);
}

#[test]
fn any_number_of_wakes_within_a_poll_make_one_more_poll() {
    let (runtime, counts, _task) = spawned();
    counts.wakes_itself.set(5);
    settle(&runtime);
    assert_eq!(counts.read(), [2, 0, 0]);
}

#[test]
fn a_task_cancelled_before_its_first_poll_is_never_polled() {
    let (runtime, counts, task) = spawned();
    drop(task);
    settle(&runtime);
    assert_eq!(counts.read(), [0, 1, 0]);
}

#[test]
fn a_task_cancelled_while_it_waits_is_dropped_without_a_poll() {
    let (runtime, counts, task) = spawned();
    settle(&runtime);
    drop(task);
    assert_eq!(counts.read(), [1, 0, 0], "dropped inside the drop of the handle");
    settle(&runtime);
    assert_eq!(counts.read(), [1, 1, 0]);
    counts.wake();
    settle(&runtime);
    assert_eq!(counts.read(), [1, 1, 0]);
}

#[test]
fn a_task_woken_and_then_cancelled_is_dropped_without_a_poll() {
    let (runtime, counts, task) = spawned();
    settle(&runtime);
    counts.wake();
    drop(task);
    settle(&runtime);
    assert_eq!(counts.read(), [1, 1, 0]);
}

#[test]
fn a_cancelled_task_that_is_then_woken_is_dropped_without_a_poll() {
    let (runtime, counts, task) = spawned();
    settle(&runtime);
    drop(task);
    counts.wake();
    settle(&runtime);
    assert_eq!(counts.read(), [1, 1, 0]);
}

#[test]
fn the_output_of_a_detached_task_is_dropped_as_it_ends() {
    for detached_at in 0..3 {
        let (runtime, counts, task) = spawned();
        let mut task = Some(task);
        let mut step = |number: usize| {
            if number == detached_at {
                task.take().expect("once").detach();
            }
        };
        step(0);
        settle(&runtime);
        step(1);
        counts.may_end.set(true);
        counts.wake();
        settle(&runtime);
        step(2);
        assert_eq!(counts.read(), [2, 1, 1]);
    }
}

#[test]
fn a_handle_dropped_after_the_end_drops_the_output() {
    let (runtime, counts, task) = spawned();
    counts.may_end.set(true);
    settle(&runtime);
    drop(task);
    assert_eq!(counts.read(), [1, 1, 1]);
}

#[test]
fn a_waker_kept_after_the_end_does_nothing() {
    let (runtime, counts, task) = spawned();
    counts.may_end.set(true);
    settle(&runtime);
    counts.wake();
    assert!(!runtime.has_ready_tasks());
    drop(task);
    counts.wake();
    drop(runtime);
    counts.wake();
    assert_eq!(counts.read(), [1, 1, 1]);
}

#[test]
fn a_detached_task_that_only_its_runtime_knows_is_dropped_with_it() {
    let (runtime, counts, task) = spawned();
    task.detach();
    settle(&runtime);
    counts.waker.take();
    settle(&runtime);
    assert_eq!(counts.read(), [1, 0, 0]);
    drop(runtime);
    assert_eq!(counts.read(), [1, 1, 0]);
}

#[test]
fn dropping_the_runtime_drops_every_future_once_whatever_its_state() {
    let runtime = runtime();
    let (waiting, waiting_task) = spawn_on(&runtime);
    let (scheduled, scheduled_task) = spawn_on(&runtime);
    let (cancelled, cancelled_task) = spawn_on(&runtime);
    let (ended, ended_task) = spawn_on(&runtime);
    ended.may_end.set(true);
    settle(&runtime);
    let (fresh, fresh_task) = spawn_on(&runtime);
    scheduled.wake();
    drop(cancelled_task);
    drop(runtime);
    for (counts, expected) in [
        (&waiting, [1, 1, 0]),
        (&scheduled, [1, 1, 0]),
        (&cancelled, [1, 1, 0]),
        (&ended, [1, 1, 0]),
        (&fresh, [0, 1, 0]),
    ] {
        assert_eq!(counts.read(), expected);
    }
    drop([waiting_task, scheduled_task, fresh_task]);
    drop(ended_task);
    [&waiting, &scheduled, &cancelled, &ended].into_iter().for_each(|counts| counts.wake());
    assert_eq!(ended.read(), [1, 1, 1]);
    assert_eq!(waiting.read(), [1, 1, 0]);
}

#[test]
fn a_thousand_tasks_that_come_and_go_leave_nothing_behind() {
    let runtime = runtime();
    let alive = Rc::new(());
    for round in 0..if cfg!(miri) { 20 } else { 1_000 } {
        let (counts, task) = spawn_on(&runtime);
        let held = Rc::clone(&alive);
        let beside = runtime.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        counts.may_end.set(round % 2 == 0);
        settle(&runtime);
        drop((task, beside));
        settle(&runtime);
        assert_eq!(Rc::strong_count(&alive), 1);
        assert_eq!(counts.read(), [1, 1, usize::from(round % 2 == 0)]);
    }
}
