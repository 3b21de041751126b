//! A task from its spawning to its end: awaited, detached, cancelled, dropped with its runtime.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use selkie::{spawn, yield_now};

use crate::util::{OnDrop, Trace, Wakes, panic_text, run, run_on, runtime, turn_until};

#[test]
fn a_spawned_task_gives_its_value_to_who_awaits_it() {
    assert_eq!(run(async { spawn(async { 6 * 7 }).await }), 42);
}

#[test]
fn spawning_does_not_poll_and_tasks_begin_in_the_order_of_spawning() {
    let (runtime, trace) = (runtime(), Trace::default());
    for name in ["first", "second", "third"] {
        let trace = trace.clone();
        runtime.spawn(async move { trace.add(name) }).detach();
    }
    assert!(trace.take().is_empty());
    turn_until(&runtime, || !runtime.has_ready_tasks());
    assert_eq!(trace.take(), ["first", "second", "third"]);
}

#[test]
fn a_detached_task_runs_on() {
    let value = run(async {
        let (sender, receiver) = oneshot::channel();
        spawn(async move {
            yield_now().await;
            sender.send(7)
        })
        .detach();
        receiver.await
    });
    assert_eq!(value, Ok(7));
}

#[test]
fn a_dropped_task_is_not_polled_again_and_its_future_is_dropped() {
    let (runtime, trace) = (runtime(), Trace::default());
    let (seen, dropped) = (trace.clone(), trace.clone());
    let task = runtime.spawn(async move {
        let _guard = OnDrop(|| dropped.add("dropped"));
        loop {
            seen.add("polled");
            yield_now().await;
        }
    });
    run_on(&runtime, yield_now());
    trace.take();
    drop(task);
    assert!(trace.take().is_empty(), "not inside the drop of the handle");
    turn_until(&runtime, || !runtime.has_ready_tasks());
    assert_eq!(trace.take(), ["dropped"]);
}

#[test]
fn to_await_a_cancellation_is_to_await_the_drop_of_the_future() {
    let trace = Trace::default();
    run(async {
        let dropped = trace.clone();
        let task = spawn(async move {
            let _guard = OnDrop(|| dropped.add("dropped"));
            pending::<()>().await
        });
        yield_now().await;
        assert!(trace.take().is_empty());
        assert_eq!(task.cancel().await, None);
        assert_eq!(trace.take(), ["dropped"]);
    });
}

#[test]
fn a_cancellation_that_comes_too_late_returns_the_value() {
    run(async {
        let task = spawn(async { 7 });
        yield_now().await;
        assert!(task.is_finished());
        assert_eq!(task.cancel().await, Some(7));
    });
}

#[test]
fn a_cancellation_that_is_polled_once_and_given_up_still_cancels() {
    let trace = Trace::default();
    run(async {
        let dropped = trace.clone();
        let task = spawn(async move {
            let _guard = OnDrop(|| dropped.add("dropped"));
            pending::<()>().await
        });
        yield_now().await;
        let _ = select(pin!(task.cancel()), ready(())).await;
        yield_now().await;
        assert_eq!(trace.take(), ["dropped"]);
    });
}

#[test]
fn a_task_is_finished_after_its_value_or_its_panic_and_not_before() {
    run(async {
        let (sender, receiver) = oneshot::channel::<()>();
        let waits = spawn(receiver);
        let panics = spawn(async { panic!("the test's panic") });
        assert!(!waits.is_finished() && !panics.is_finished());
        yield_now().await;
        assert!(!waits.is_finished() && panics.is_finished());
        sender.send(()).unwrap();
        assert!(!waits.is_finished(), "it was woken, not polled");
        yield_now().await;
        assert!(waits.is_finished());
        let shown = format!("{waits:?}");
        assert!(shown.starts_with("Task { id: 1, spawned_at: "), "{shown}");
        assert!(shown.contains("tests/runtime/tasks.rs:"), "{shown}");
        assert!(shown.ends_with(", is_finished: true }"), "{shown}");
    });
}

#[test]
fn a_future_that_is_not_send_is_at_home() {
    let value = run(async {
        let shared = Rc::new(RefCell::new(1));
        let kept = Rc::clone(&shared);
        let task = spawn(async move {
            let borrowed = Rc::clone(&kept);
            yield_now().await;
            *borrowed.borrow_mut() += 1;
            borrowed
        });
        let returned = task.await;
        assert!(Rc::ptr_eq(&returned, &shared));
        *returned.borrow()
    });
    assert_eq!(value, 2);
}

#[test]
fn awaiting_a_task_may_be_given_up_and_begun_again() {
    run(async {
        let (sender, receiver) = oneshot::channel();
        let mut task = spawn(async { receiver.await.unwrap() });
        for _ in 0..3 {
            match select(&mut task, yield_now()).await {
                Either::Left(_) => panic!("nothing was sent"),
                Either::Right(((), _)) => {}
            }
        }
        sender.send(7).unwrap();
        yield_now().await; // The value is there before it is awaited again.
        assert_eq!(task.await, 7);
    });
}

#[test]
fn a_task_that_moves_to_another_awaiter_wakes_the_last_one_only() {
    let (wakes, waker) = Wakes::new();
    run(async {
        let (sender, receiver) = oneshot::channel();
        let mut task = spawn(receiver);
        assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
        let awaiter = spawn(task);
        yield_now().await;
        sender.send(7).unwrap();
        assert_eq!(awaiter.await, Ok(7));
    });
    assert_eq!(wakes.count(), 0);
}

#[test]
fn a_task_may_spawn_in_its_poll_and_in_its_destructors() {
    let trace = Trace::default();
    run(async {
        let (inner, last) = (trace.clone(), trace.clone());
        let _guard = spawn(async move {
            let _guard = OnDrop(|| {
                let last = last.clone();
                spawn(async move { last.add("spawned by a destructor") }).detach();
            });
            spawn(async move { inner.add("spawned by a task") }).await;
        })
        .await;
        yield_now().await;
    });
    assert_eq!(trace.take(), ["spawned by a task", "spawned by a destructor"]);
}

#[test]
fn a_task_that_drops_its_own_handle_ends_at_its_next_await() {
    let trace = Trace::default();
    run(async {
        let handle = Rc::new(Cell::new(None));
        let (own, seen) = (Rc::clone(&handle), trace.clone());
        handle.set(Some(spawn(async move {
            let _guard = OnDrop(|| seen.add("dropped"));
            drop(own.take());
            seen.add("goes on to its await");
            pending::<()>().await;
        })));
        yield_now().await;
    });
    assert_eq!(trace.take(), ["goes on to its await", "dropped"]);
}

#[test]
fn tasks_that_a_block_on_leaves_go_on_in_the_next_one() {
    let runtime = runtime();
    let (sender, receiver) = oneshot::channel();
    let task = runtime.spawn(receiver);
    run_on(&runtime, yield_now());
    run_on(&runtime, async { sender.send(7).unwrap() });
    assert_eq!(run_on(&runtime, task), Ok(7));
}

#[test]
fn awaiting_a_task_whose_runtime_is_gone_says_so() {
    let (not_polled, polled) = {
        let runtime = runtime();
        let polled = runtime.spawn(pending::<()>());
        run_on(&runtime, yield_now());
        (runtime.spawn(pending::<()>()), polled)
    };
    for task in [not_polled, polled] {
        assert!(task.is_finished());
        let text = panic_text(|| run(task));
        assert!(text.starts_with("the awaited task is gone, which was spawned at "), "{text}");
    }
}

#[test]
fn who_awaits_a_task_as_its_runtime_goes_is_woken_and_told() {
    let inner = runtime();
    let task = inner.spawn(pending::<()>());
    let outer = runtime();
    let awaiter = outer.spawn(task);
    run_on(&outer, yield_now());
    drop(inner);
    let text = panic_text(|| run_on(&outer, awaiter));
    assert!(text.starts_with("the awaited task is gone, which was spawned at "), "{text}");
}

#[test]
fn cancelling_a_task_whose_runtime_is_gone_returns_nothing() {
    let task = runtime().spawn(pending::<()>());
    assert_eq!(run(task.cancel()), None);
}

#[test]
fn a_value_outlives_the_runtime_that_made_it() {
    let runtime = runtime();
    let task = runtime.spawn(async { 7 });
    turn_until(&runtime, || task.is_finished());
    drop(runtime);
    assert_eq!(run(task), 7);
}

#[test]
fn a_task_that_ends_wakes_its_awaiter_in_the_same_turn() {
    let runtime = runtime();
    let outer = runtime.spawn(async { spawn(async { 7 }).await });
    let turn = runtime.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!((turn.polls, turn.more), (3, false));
    assert!(outer.is_finished());
}
