//! Panics of tasks: they reach who awaits, or else what the builder says happens.

use std::future::{Future, pending};
use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc::{self, TryRecvError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use futures::FutureExt;
use selkie::{Builder, Runtime, Task, UnobservedPanic, sleep, spawn, yield_now};

use crate::util::{DEADLINE, build, panic_text, run, run_on, runtime, settle, turn_until};

fn resuming() -> Runtime {
    build(Builder::new().unobserved_panic(UnobservedPanic::Resume))
}

/// Spawns a task that panics with `text` at its first poll.
fn panicking(runtime: &Runtime, text: &'static str) -> Task<()> {
    // Without the hook: nothing of it is printed.
    runtime.spawn(async move { resume_unwind(Box::new(text)) })
}

/// The payload that `f` panics with.
fn payload_of<R>(f: impl FnOnce() -> R) -> Box<dyn std::any::Any + Send> {
    catch_unwind(AssertUnwindSafe(f)).map(drop).expect_err("it should have panicked")
}

#[test]
fn the_panic_of_a_task_reaches_its_awaiter_as_it_was() {
    let payload = payload_of(|| run(async { spawn(async { panic_any(42_u8) }).await }));
    assert_eq!(payload.downcast_ref(), Some(&42_u8));
}

#[test]
fn a_task_that_panics_disturbs_no_other() {
    run(async {
        let neighbour = spawn(async {
            yield_now().await;
            7
        });
        let panics = spawn(async { resume_unwind(Box::new("the test's panic")) });
        let caught = AssertUnwindSafe(panics).catch_unwind().await;
        assert_eq!(caught.expect_err("it panics").downcast_ref(), Some(&"the test's panic"));
        assert_eq!(neighbour.await, 7);
    });
}

#[test]
fn a_panic_after_an_await_reaches_the_awaiter_too() {
    let text = panic_text(|| {
        run(async {
            spawn(async {
                sleep(Duration::from_millis(1)).await;
                resume_unwind(Box::new("later"))
            })
            .await
        })
    });
    assert_eq!(text, "later");
}

#[test]
fn cancelling_a_task_that_has_panicked_goes_on_with_its_panic() {
    for runtime in [runtime(), resuming()] {
        let task = panicking(&runtime, "too late");
        settle(&runtime);
        assert_eq!(panic_text(|| run_on(&runtime, task.cancel())), "too late");
        settle(&runtime);
    }
}

#[test]
fn a_panic_that_nobody_awaits_is_ignored_unless_the_builder_says_otherwise() {
    let runtime = runtime();
    panicking(&runtime, "detached").detach();
    let dropped = panicking(&runtime, "dropped");
    settle(&runtime);
    drop(dropped);
    settle(&runtime);
    assert_eq!(run_on(&runtime, async { 7 }), 7);
}

#[test]
fn the_panic_of_a_detached_task_can_stop_block_on() {
    let runtime = resuming();
    let text = panic_text(|| {
        run_on(&runtime, async {
            panicking(&runtime, "detached").detach();
            pending::<()>().await
        })
    });
    assert_eq!(text, "detached");
    assert_eq!(run_on(&runtime, async { 7 }), 7, "the runtime can still be used");
}

#[test]
fn the_panic_of_a_detached_task_can_stop_a_turn() {
    let runtime = resuming();
    let neighbour = runtime.spawn(async { 7 });
    panicking(&runtime, "detached").detach();
    assert_eq!(panic_text(|| runtime.turn(Some(Duration::ZERO))), "detached");
    assert_eq!(run_on(&runtime, neighbour), 7);
}

#[test]
fn a_handle_dropped_after_the_panic_leaves_it_unobserved() {
    let runtime = resuming();
    let task = panicking(&runtime, "dropped");
    settle(&runtime);
    drop(task);
    assert_eq!(panic_text(|| runtime.turn(Some(DEADLINE))), "dropped");
}

#[test]
fn a_panic_that_is_awaited_stops_nothing_else() {
    let runtime = resuming();
    let task = panicking(&runtime, "observed");
    settle(&runtime);
    assert_eq!(panic_text(|| run(task)), "observed");
    settle(&runtime);
}

#[test]
fn of_many_panics_the_first_one_stops_the_turn_and_the_others_are_not_kept() {
    let runtime = resuming();
    for text in ["first", "second"] {
        panicking(&runtime, text).detach();
    }
    assert_eq!(panic_text(|| runtime.turn(Some(Duration::ZERO))), "first");
    settle(&runtime);
}

/// Ends with what is in it, if anything, and panics when it is dropped.
struct DropPanics(Option<Poll<()>>);

impl Future for DropPanics {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        self.0.take().unwrap_or_else(|| resume_unwind(Box::new("the poll's panic")))
    }
}

impl Drop for DropPanics {
    fn drop(&mut self) {
        resume_unwind(Box::new("the destructor's panic"));
    }
}

#[test]
fn a_future_that_panics_as_its_task_is_cancelled_disturbs_no_other() {
    let runtime = runtime();
    let [cancelled, dropped] = [(); 2].map(|()| runtime.spawn(DropPanics(Some(Poll::Pending))));
    settle(&runtime);
    drop(dropped);
    assert_eq!(run_on(&runtime, cancelled.cancel()), None);
    assert_eq!(run_on(&runtime, async { 7 }), 7);
}

#[test]
fn the_panic_of_a_future_whose_task_is_cancelled_can_stop_a_turn() {
    let runtime = resuming();
    let task = runtime.spawn(DropPanics(Some(Poll::Pending)));
    settle(&runtime);
    drop(task);
    let text = panic_text(|| runtime.turn(Some(Duration::ZERO)));
    assert_eq!(text, "the destructor's panic");
    settle(&runtime);
}

#[test]
fn the_panic_of_a_future_that_is_dropped_at_its_end_reaches_the_awaiter() {
    let runtime = resuming();
    let task = runtime.spawn(DropPanics(Some(Poll::Ready(()))));
    assert_eq!(panic_text(|| run_on(&runtime, task)), "the destructor's panic");
    settle(&runtime);
}

#[test]
fn of_the_panics_of_a_poll_and_of_the_drop_after_it_the_first_reaches_the_awaiter() {
    let runtime = runtime();
    let task = runtime.spawn(DropPanics(None));
    assert_eq!(panic_text(|| run_on(&runtime, task)), "the poll's panic");
}

#[test]
fn futures_that_panic_as_their_runtime_is_dropped_keep_no_other_from_being_dropped() {
    for wanted in [runtime(), resuming()] {
        let held = Rc::new(());
        for _ in 0..3 {
            wanted.spawn(DropPanics(Some(Poll::Pending))).detach();
            let held = Rc::clone(&held);
            let waits = async move {
                let _held = held;
                pending::<()>().await
            };
            wanted.spawn(waits).detach();
        }
        settle(&wanted);
        wanted.spawn(DropPanics(Some(Poll::Pending))).detach();
        drop(wanted);
        assert_eq!(Rc::strong_count(&held), 1);
    }
}

#[test]
fn a_panic_left_by_another_thread_ends_the_sleep_of_the_loop() {
    let runtime = resuming();
    let task = panicking(&runtime, "from afar");
    turn_until(&runtime, || task.is_finished());
    let (sender, receiver) = mpsc::channel::<Task<()>>();
    let dropper = thread::spawn(move || drop(receiver.recv().unwrap()));
    let text = panic_text(|| {
        run_on(&runtime, async {
            sender.send(task).unwrap();
            pending::<()>().await
        })
    });
    assert_eq!(text, "from afar");
    dropper.join().unwrap();
}

/// The window is narrow: a panic reported after the turn has looked for one, and before it has
/// said that it sleeps.
#[test]
fn a_panic_left_while_the_loop_falls_asleep_is_not_overslept() {
    let rounds = if cfg!(miri) { 20 } else { 20_000 };
    let runtime = resuming();
    let (sender, receiver) = mpsc::channel::<Task<()>>();
    let dropper = thread::spawn(move || {
        // Without sleep, to be as quick as the loop.
        loop {
            match receiver.try_recv() {
                Ok(task) => drop(task),
                Err(TryRecvError::Empty) => hint::spin_loop(),
                Err(TryRecvError::Disconnected) => break,
            }
        }
    });
    for round in 0..rounds {
        let task = panicking(&runtime, "from afar");
        turn_until(&runtime, || task.is_finished());
        let start = Instant::now();
        let text = panic_text(|| {
            run_on(&runtime, async {
                sender.send(task).unwrap();
                (0..round % 500).for_each(|_| hint::spin_loop());
                pending::<()>().await
            })
        });
        assert_eq!(text, "from afar", "in round {round}");
        assert!(start.elapsed() < DEADLINE, "found by the next timer only, in round {round}");
    }
    drop(sender);
    dropper.join().unwrap();
}
