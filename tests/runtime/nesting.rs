//! Loops inside loops: what is refused, with a text that says what to do instead, and what works.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use selkie::{Async, Builder, Timer, UnobservedPanic, block_on, sleep, spawn, yield_now};

use crate::child;
use crate::util::{
    DEADLINE, OnDrop, Trace, build, panic_text, run, run_on, runtime, settle, turn_until,
};

const NO_RUNTIME: &str = "there is no selkie runtime on this thread just now; call this inside \
                          Runtime::block_on, Runtime::enter or a task";
const NESTED_BLOCK_ON: &str = "block_on was called inside a running selkie runtime, which would \
                               block it; await the future there, or spawn it";
const NESTED_TURN: &str = "a turn of this runtime was called inside one of its own tasks; return \
                           to the loop instead, or spawn another task";

#[test]
fn block_on_inside_a_task_is_refused_and_the_task_goes_on() {
    let other = runtime();
    run(async move {
        let nested = spawn(async move {
            assert_eq!(panic_text(|| block_on(async {})), NESTED_BLOCK_ON);
            assert_eq!(panic_text(|| other.block_on(async {})), NESTED_BLOCK_ON);
            sleep(Duration::from_millis(1)).await;
            7
        });
        assert_eq!(panic_text(|| block_on(async {})), NESTED_BLOCK_ON);
        assert_eq!(nested.await, 7);
    });
}

#[test]
fn block_on_inside_a_task_is_refused_though_another_runtime_was_entered_or_is_dropped() {
    let [other, dropped] = [runtime(), runtime()];
    let (sender, told) = std::sync::mpsc::channel();
    let guard = OnDrop(move || sender.send(panic_text(|| block_on(async {}))).unwrap());
    dropped.spawn(async { drop(guard) }).detach();
    run(async move {
        other.enter(|| assert_eq!(panic_text(|| other.block_on(async {})), NESTED_BLOCK_ON));
        drop(dropped);
    });
    assert_eq!(told.recv().unwrap(), NESTED_BLOCK_ON);
}

#[test]
fn block_on_inside_a_turn_is_refused() {
    let runtime = runtime();
    let task = runtime.spawn(async { panic_text(|| block_on(async {})) });
    turn_until(&runtime, || task.is_finished());
    assert_eq!(run_on(&runtime, task), NESTED_BLOCK_ON);
}

#[test]
fn a_turn_inside_a_task_of_the_same_runtime_is_refused_and_the_task_goes_on() {
    let runtime = Rc::new(runtime());
    let same = Rc::clone(&runtime);
    let task = runtime.spawn(async move {
        for _ in 0..2 {
            assert_eq!(panic_text(|| same.turn(Some(Duration::ZERO))), NESTED_TURN);
            assert_eq!(panic_text(|| same.block_on(async {})), NESTED_BLOCK_ON);
            sleep(Duration::from_millis(1)).await;
        }
    });
    run_on(&runtime, task);
}

#[test]
fn a_turn_of_another_runtime_inside_a_task_works() {
    let (inner, trace) = (runtime(), Trace::default());
    let told = trace.clone();
    inner.spawn(async move { told.add("inner") }).detach();
    run(async move {
        assert_eq!(inner.turn(Some(Duration::ZERO)).unwrap().polls, 1);
        assert_eq!(trace.take(), ["inner"]);
        let told = trace.clone();
        spawn(async move { told.add("outer") }).await;
        assert!(!inner.has_ready_tasks(), "the task went to the inner runtime");
        assert_eq!(trace.take(), ["outer"]);
    });
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_task_of_an_inner_runtime_may_use_a_source_of_the_outer_one_without_end() {
    const MANY: usize = 1_000;
    let (outer, between, inner) = (runtime(), runtime(), runtime());
    let (near, far) = UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    let near = outer.enter(|| Async::new(near)).unwrap();
    let task = inner.spawn(async move {
        for _ in 0..MANY {
            near.writable().await.unwrap();
        }
        drop(far);
    });
    run_on(&outer, async move {
        // All within one poll of the outer one.
        let turns = (0..MANY).take_while(|_| !task.is_finished());
        let turn = || inner.turn(Some(Duration::ZERO));
        turns.for_each(|_| assert!(between.enter(turn).is_ok()));
        assert!(task.is_finished());
    });
}

#[test]
fn the_outer_runtime_is_refused_to_a_task_of_the_inner_one() {
    let (outer, inner) = (Rc::new(runtime()), runtime());
    let above = Rc::clone(&outer);
    let task = inner.spawn(async move { panic_text(|| above.turn(None)) });
    run_on(&outer, async move {
        settle(&inner);
        assert!(task.is_finished());
        assert_eq!(task.await, NESTED_TURN);
    });
}

#[test]
fn runtimes_on_one_thread_take_turns_and_wake_each_others_tasks() {
    let runtimes = [runtime(), runtime(), runtime()];
    let token = Rc::new(RefCell::new((0, Vec::<Waker>::new())));
    let player = |number: usize| {
        let token = Rc::clone(&token);
        poll_fn(move |cx| {
            let (count, waiting) = &mut *token.borrow_mut();
            if *count >= 30 {
                waiting.drain(..).for_each(Waker::wake);
                return Poll::Ready(());
            }
            if *count % 3 == number {
                *count += 1;
                waiting.drain(..).for_each(Waker::wake);
            }
            waiting.push(cx.waker().clone());
            Poll::Pending
        })
    };
    let tasks: Vec<_> = (0..3).map(|number| runtimes[number].spawn(player(number))).collect();
    for _ in 0..100 {
        runtimes.iter().for_each(settle);
    }
    assert!(tasks.iter().all(|task| task.is_finished()));
}

#[test]
fn timers_of_runtimes_on_one_thread_are_their_own() {
    let [one, other] = [runtime(), runtime()];
    let task = one.spawn(sleep(DEADLINE));
    settle(&one);
    assert!(one.next_deadline().is_some());
    assert_eq!(other.next_deadline(), None);
    drop(task);
    run_on(&one, sleep(Duration::from_millis(1)));
}

#[test]
fn a_panic_in_block_on_leaves_the_thread_usable() {
    let runtime = runtime();
    let text = panic_text(|| runtime.block_on(async { resume_unwind(Box::new("oops")) }));
    assert_eq!(text, "oops");
    assert_eq!(panic_text(|| spawn(async {})), NO_RUNTIME);
    assert_eq!(run_on(&runtime, async { spawn(async { 7 }).await }), 7);
    assert_eq!(block_on(async { spawn(async { 7 }).await }), 7);
    let task = runtime.spawn(sleep(Duration::from_millis(1)));
    turn_until(&runtime, || task.is_finished());
}

#[test]
fn a_panic_in_an_inner_turn_leaves_the_outer_runtime_current() {
    let inner = build(Builder::new().unobserved_panic(UnobservedPanic::Resume));
    inner.spawn(async { resume_unwind(Box::new("inner")) }).detach();
    run(async move {
        assert_eq!(panic_text(|| inner.turn(Some(Duration::ZERO))), "inner");
        assert_eq!(spawn(async { 7 }).await, 7);
        settle(&inner);
    });
}

/// A future that ends, or panics, and spawns a task when it is dropped after that.
struct SpawnsWhenDropped {
    trace: Trace,
    panics: bool,
}

impl Future for SpawnsWhenDropped {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        if self.panics {
            resume_unwind(Box::new("the test's panic"));
        }
        Poll::Ready(())
    }
}

impl Drop for SpawnsWhenDropped {
    fn drop(&mut self) {
        let trace = self.trace.clone();
        spawn(async move { trace.add("spawned") }).detach();
    }
}

#[test]
fn the_future_of_block_on_is_dropped_inside_the_runtime_in_a_panic_too() {
    for panics in [false, true] {
        let (runtime, trace) = (runtime(), Trace::default());
        let future = SpawnsWhenDropped { trace: trace.clone(), panics };
        let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(future)));
        assert_eq!(ended.is_err(), panics);
        settle(&runtime);
        assert_eq!(trace.take(), ["spawned"]);
    }
}

#[test]
fn spawning_and_waiting_outside_a_runtime_say_what_to_do() {
    assert_eq!(panic_text(|| spawn(async {})), NO_RUNTIME);
    let mut timer = Timer::after(Duration::from_millis(1));
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(panic_text(|| Pin::new(&mut timer).poll(&mut cx)), NO_RUNTIME);
    let (near, _far) = UnixStream::pair().unwrap();
    assert_eq!(panic_text(|| Async::new(near)), NO_RUNTIME);
}

#[test]
fn enter_makes_a_runtime_current_for_as_long_as_it_runs_in_a_panic_too() {
    let [one, other] = [runtime(), runtime()];
    one.enter(|| {
        other.enter(|| spawn(async {}).detach());
        assert!(other.has_ready_tasks() && !one.has_ready_tasks());
        spawn(async {}).detach();
        assert!(one.has_ready_tasks());
    });
    assert_eq!(panic_text(|| spawn(async {})), NO_RUNTIME);
    let _ = catch_unwind(AssertUnwindSafe(|| one.enter(|| resume_unwind(Box::new(())))));
    assert_eq!(panic_text(|| spawn(async {})), NO_RUNTIME);
}

#[test]
fn a_source_made_by_enter_is_awaited_in_a_task() {
    let runtime = runtime();
    let (mut near, far) = UnixStream::pair().unwrap();
    let far = runtime.enter(|| Async::new(far)).unwrap();
    near.write_all(b"x").unwrap();
    run_on(&runtime, async {
        yield_now().await;
        far.readable().await.unwrap();
    });
}

#[test]
fn a_turn_inside_enter_works() {
    let runtime = runtime();
    runtime.enter(|| {
        let task = spawn(async { 7 });
        settle(&runtime);
        assert!(task.is_finished());
        assert_eq!(runtime.block_on(task), 7);
    });
}

/// The file that a panic of `f` blames.
fn blamed<R>(f: impl FnOnce() -> R) -> String {
    thread_local! {
        static BLAMED: RefCell<String> = const { RefCell::new(String::new()) };
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let file = info.location().expect("it has a place").file().to_owned();
        BLAMED.with(|blamed| *blamed.borrow_mut() = file);
        before(info);
    }));
    let panicked = catch_unwind(AssertUnwindSafe(f)).is_err();
    assert!(panicked, "it is a mistake of the caller");
    BLAMED.take()
}

#[test]
fn a_panic_for_a_mistake_of_the_caller_blames_the_caller() {
    use selkie::{Remote, time::interval};

    if child::role().is_none() {
        let name = "nesting::a_panic_for_a_mistake_of_the_caller_blames_the_caller";
        child::run(&mut child::command(name, "alone"));
        return;
    }
    let socket = || UnixStream::pair().unwrap().0;
    let runtime = runtime();
    let here = file!();
    assert_eq!(blamed(|| Async::new(socket()).is_ok()), here);
    assert_eq!(blamed(|| Async::new_nonblocking(socket()).is_ok()), here);
    assert_eq!(blamed(|| Async::<UnixStream>::pair().is_ok()), here);
    assert_eq!(blamed(|| Async::try_from(socket()).is_ok()), here);
    assert_eq!(blamed(|| interval(Duration::ZERO)), here);
    assert_eq!(blamed(|| spawn(async {}).detach()), here);
    assert_eq!(blamed(|| Remote::current()), here);
    assert_eq!(blamed(|| selkie::local(|| 0)), here);
    runtime.block_on(async {
        assert_eq!(blamed(|| block_on(async {})), here);
        assert_eq!(blamed(|| runtime.block_on(async {})), here);
        assert_eq!(blamed(|| runtime.turn(None).is_ok()), here);
    });
}
