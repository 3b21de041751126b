//! No panic of user code ends the process, and none goes unnoticed.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use selkie::{Builder, Runtime, TaskError, UnobservedPanic, spawn, yield_now};

use crate::util::{DEADLINE, OnDrop, build, panic_text, run, run_on, runtime, settle};

/// Panics when it is dropped, with a payload that does the same.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic_any(Grenade);
    }
}

/// False if the runtime went on with a panic, whose payload nobody can drop.
fn settles(runtime: &Runtime) -> bool {
    let settled = catch_unwind(AssertUnwindSafe(|| settle(runtime)));
    settled.map_err(mem::forget).is_ok()
}

/// Panics when it is dropped, with a message.
fn bomb() -> impl Sized + 'static {
    OnDrop(|| panic!("the destructor's panic"))
}

fn resuming() -> Runtime {
    build(Builder::new().unobserved_panic(UnobservedPanic::Resume))
}

#[test]
fn a_detached_task_whose_value_panics_in_its_destructor_does_not_end_the_process() {
    let runtime = runtime();
    runtime.spawn(async { bomb() }).detach();
    runtime.spawn(async { Grenade }).detach();
    settle(&runtime);
    assert_eq!(run_on(&runtime, async { 7 }), 7);
}

#[test]
fn the_panic_of_a_value_that_nobody_takes_goes_to_the_runtime() {
    let runtime = resuming();
    runtime.spawn(async { bomb() }).detach();
    assert_eq!(panic_text(|| runtime.turn(Some(DEADLINE))), "the destructor's panic");
    settle(&runtime);
}

#[test]
fn a_task_that_is_cancelled_while_it_runs_may_end_with_a_value_that_panics() {
    let runtime = runtime();
    let own: Rc<Cell<Option<selkie::Task<_>>>> = Rc::default();
    let handle = Rc::clone(&own);
    let task = runtime.spawn(async move {
        drop(handle.take());
        Grenade
    });
    own.set(Some(task));
    settle(&runtime);
    assert_eq!(run_on(&runtime, async { 7 }), 7);
}

#[test]
fn a_payload_whose_destructor_panics_does_not_end_the_process() {
    for runtime in [runtime(), resuming()] {
        runtime.spawn(async { panic_any(Grenade) }).detach();
        runtime.spawn(async { panic_any(Grenade) }).detach();
        let dropped = runtime.spawn(async {
            let _late = OnDrop(|| panic_any(Grenade));
            pending::<()>().await;
        });
        while !settles(&runtime) {}
        drop(dropped);
        while !settles(&runtime) {}
        assert_eq!(run_on(&runtime, async { 7 }), 7);
    }
}

#[test]
fn a_runtime_may_be_dropped_with_tasks_whose_futures_panic_as_they_go() {
    let runtime = runtime();
    for _ in 0..3 {
        runtime
            .spawn(async {
                let _late = Grenade;
                pending::<()>().await;
            })
            .detach();
    }
    settle(&runtime);
    drop(runtime);
}

#[test]
fn a_value_of_block_on_is_not_lost_to_a_panic_in_the_same_turn() {
    let runtime = resuming();
    let value = runtime.block_on(async {
        spawn(async { panic!("detached") }).detach();
        yield_now().await;
        7
    });
    assert_eq!(value, 7);
    assert_eq!(panic_text(|| runtime.turn(Some(DEADLINE))), "detached", "told by the next turn");
}

#[test]
fn destructors_that_spawn_their_own_successors_do_not_overflow_the_stack() {
    struct Heir(Rc<Cell<usize>>);
    impl Drop for Heir {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            let heir = Heir(Rc::clone(&self.0));
            spawn(async move {
                let _heir = heir;
                pending::<()>().await;
            })
            .detach();
        }
    }
    let count = Rc::new(Cell::new(0));
    let runtime = runtime();
    let heir = Heir(Rc::clone(&count));
    runtime
        .spawn(async move {
            let _heir = heir;
            pending::<()>().await;
        })
        .detach();
    settle(&runtime);
    drop(runtime);
    assert!((100..100_000).contains(&count.get()), "{} generations", count.get());
}

#[test]
fn what_a_destructor_spawns_while_its_runtime_goes_is_dropped_too() {
    let (runtime, trace) = (runtime(), Rc::new(Cell::new(0)));
    let told = Rc::clone(&trace);
    runtime
        .spawn(async move {
            let _last_words = OnDrop(move || {
                let told = Rc::clone(&told);
                let dropped = OnDrop(move || told.set(told.get() + 1));
                spawn(async move {
                    let _dropped = dropped;
                })
                .detach();
            });
            pending::<()>().await;
        })
        .detach();
    settle(&runtime);
    drop(runtime);
    assert_eq!(trace.get(), 1);
}

#[test]
fn an_outcome_tells_a_panic_from_a_cancelled_task_and_both_from_a_value() {
    run(async {
        assert_eq!(spawn(async { 7 }).outcome().await.expect("a value"), 7);

        let error = spawn(async { panic!("told as a value") }).outcome().await.unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(error.to_string(), "the task panicked: told as a value");
        let payload = error.into_panic();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"told as a value"));

        let mut task = spawn(pending::<()>());
        let handle = task.abort_handle();
        assert!(!handle.is_finished());
        handle.abort();
        let error = task.outcome().await.unwrap_err();
        assert!(error.is_cancelled() && matches!(error, TaskError::Cancelled));
        assert!(handle.is_finished());
    });
}

#[test]
fn a_task_is_aborted_though_it_is_detached_or_awaited() {
    let runtime = runtime();
    let dropped = Rc::new(Cell::new(0));
    let waits = || {
        let dropped = Rc::clone(&dropped);
        let count = OnDrop(move || dropped.set(dropped.get() + 1));
        runtime.spawn(async move {
            let _count = count;
            pending::<()>().await;
        })
    };
    let mut detached = waits();
    let handle = detached.abort_handle();
    detached.detach();
    settle(&runtime);
    assert_eq!(dropped.get(), 0, "a handle that is alive cancels nothing");
    handle.abort();
    settle(&runtime);
    assert_eq!(dropped.get(), 1);

    let mut awaited = waits();
    let handle = awaited.abort_handle();
    let awaiter = runtime.spawn(awaited.outcome());
    settle(&runtime);
    handle.clone().abort();
    assert!(run_on(&runtime, awaiter).is_err_and(|error| error.is_cancelled()));
    assert_eq!(dropped.get(), 2);
}

#[test]
fn handles_that_are_dropped_neither_cancel_nor_keep_a_task() {
    let runtime = runtime();
    let ends = Rc::new(Cell::new(false));
    let told = Rc::clone(&ends);
    let mut detached = runtime.spawn(async move {
        yield_now().await;
        told.set(true);
    });
    drop(detached.abort_handle());
    let handle = detached.abort_handle();
    detached.detach();
    drop(handle);
    settle(&runtime);
    assert!(ends.get());

    let mut dropped = runtime.spawn(async {
        pending::<()>().await;
    });
    let handle = dropped.abort_handle();
    drop(dropped);
    assert!(handle.is_finished(), "dropping the task cancels it, whoever has a handle");
    let mut ended = runtime.spawn(async { 7 });
    let handle = ended.abort_handle();
    assert_eq!(run_on(&runtime, &mut ended), 7);
    handle.abort();
    drop(ended.abort_handle());
}

#[test]
fn a_turn_that_a_panic_has_left_does_not_count_as_running() {
    let runtime = resuming();
    runtime.spawn(async { panic!("detached") }).detach();
    panic_text(|| runtime.turn(Some(Duration::ZERO)));
    assert_eq!(run_on(&runtime, poll_fn(|_| Poll::Ready(7))), 7);
}

#[test]
fn a_panic_that_leaves_a_turn_in_the_middle_of_a_round_keeps_the_order_of_the_others() {
    const MANY: usize = if cfg!(miri) { 500 } else { 100_000 };
    let runtime = build(Builder::new().polls_per_turn(64));
    let polled = Rc::new(RefCell::new(Vec::new()));
    for number in 0..MANY {
        let polled = Rc::clone(&polled);
        let wakes = async move {
            polled.borrow_mut().push(number);
            yield_now().await;
            polled.borrow_mut().push(number);
        };
        runtime.spawn(wakes).detach();
    }
    for number in 1..=3 {
        let text = panic_text(|| {
            runtime.block_on(async {
                yield_now().await;
                resume_unwind(Box::new("the root's panic"))
            })
        });
        assert_eq!(text, "the root's panic");
        let polled = polled.borrow().len();
        assert!((1..MANY).contains(&polled), "{polled} after {number} panics");
    }
    while runtime.turn(Some(Duration::ZERO)).unwrap().more {}
    let twice = polled.take();
    assert!(twice.iter().copied().eq((0..MANY).chain(0..MANY)), "each, in its turn, twice");
}
