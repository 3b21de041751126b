//! Runtimes that go at awkward moments: in a panic, with their thread, in the task of another
//! one, in a task of their own as the process exits.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::io::ErrorKind;
use std::mem;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::process;
use std::rc::Rc;
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use selkie::selector::BackendKind;
use selkie::{Async, Runtime, Timer, sleep, spawn, yield_now};

use crate::child;
use crate::util::{Bomb, DEADLINE, OnDrop, Trace, Wakes, panic_text, run, run_on, runtime, settle};

/// Spawns a task on `runtime` that waits, with a destructor that adds to `trace` and spawns.
fn waiting_task(runtime: &Runtime, trace: &Trace) {
    let trace = trace.clone();
    let last_words = move || {
        trace.add("dropped");
        spawn(async { panic!("never polled") }).detach();
    };
    let task = runtime.spawn(async move {
        let _guard = OnDrop(last_words);
        sleep(DEADLINE).await;
        pending::<()>().await
    });
    task.detach();
    settle(runtime);
}

#[test]
fn a_runtime_dropped_in_a_panic_drops_its_tasks() {
    let trace = Trace::default();
    let text = panic_text(|| {
        let runtime = runtime();
        waiting_task(&runtime, &trace);
        run_on(&runtime, async {
            yield_now().await;
            resume_unwind(Box::new("the test's panic"))
        })
    });
    assert_eq!(text, "the test's panic");
    assert_eq!(trace.take(), ["dropped"]);
    assert_eq!(run(async { spawn(async { 7 }).await }), 7);
}

/// A timer of `runtime` that waits with a [`Bomb`], and one behind it.
fn timers_with_a_bomb(runtime: &Runtime, behind: &Waker) -> [Timer; 2] {
    let mut timers = [(); 2].map(|()| Timer::after(DEADLINE));
    runtime.enter(|| {
        for (timer, waker) in timers.iter_mut().zip([&Bomb::waker(), behind]) {
            assert!(Pin::new(timer).poll(&mut Context::from_waker(waker)).is_pending());
        }
    });
    timers
}

#[test]
fn a_waker_that_panics_as_its_runtime_is_dropped_loses_nobody() {
    let runtime = runtime();
    let (wakes, behind) = Wakes::new();
    let _timers = timers_with_a_bomb(&runtime, &behind);
    assert_eq!(panic_text(|| drop(runtime)), "the waker's panic");
    assert_eq!(wakes.count(), 1);
}

#[test]
fn a_waker_that_panics_as_its_runtime_is_dropped_in_a_panic_does_not_abort() {
    let (wakes, behind) = Wakes::new();
    let mut timers = None;
    let text = panic_text(|| {
        let runtime = runtime();
        timers = Some(timers_with_a_bomb(&runtime, &behind));
        resume_unwind(Box::new("the test's panic"))
    });
    assert_eq!(text, "the test's panic");
    assert_eq!(wakes.count(), 1);
}

/// A source of `runtime`, for which `waker` waits.
fn awaited_source(runtime: &Runtime, waker: &Waker) -> (Async<UnixStream>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    let near = runtime.enter(|| Async::new(near)).unwrap();
    assert!(near.poll_readable(&mut Context::from_waker(waker)).is_pending());
    (near, far)
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn the_only_waker_there_is_may_panic_too_as_all_goes_in_a_panic() {
    for is_runtime_dropped in [false, true] {
        let text = panic_text(|| {
            let runtime = runtime();
            let (near, _far) = awaited_source(&runtime, &Bomb::waker());
            let _dropped: Box<dyn Any> = if is_runtime_dropped {
                Box::new((runtime, near))
            } else {
                Box::new((near, runtime))
            };
            resume_unwind(Box::new("the test's panic"))
        });
        assert_eq!(text, "the test's panic");
    }
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_local_value_that_panics_as_its_runtime_goes_leaves_nobody_waiting() {
    struct First(Trace);
    impl Drop for First {
        fn drop(&mut self) {
            self.0.add("first");
        }
    }
    struct Second;
    impl Drop for Second {
        fn drop(&mut self) {
            resume_unwind(Box::new("the destructor's panic"));
        }
    }
    let (runtime, trace) = (runtime(), Trace::default());
    runtime.enter(|| {
        selkie::local(|| First(trace.clone()));
        selkie::local(|| Second);
    });
    let (wakes, waker) = Wakes::new();
    let (near, _far) = awaited_source(&runtime, &waker);
    assert_eq!(panic_text(|| drop(runtime)), "the destructor's panic");
    assert_eq!((trace.take(), wakes.count()), (vec!["first"], 1));
    let polled = near.poll_readable(&mut Context::from_waker(&waker));
    let Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_runtime_dropped_in_a_task_of_another_drops_its_tasks_and_leaves_the_other_current() {
    let trace = Trace::default();
    run(async {
        let inner = runtime();
        waiting_task(&inner, &trace);
        spawn(async move { drop(inner) }).await;
        assert_eq!(trace.take(), ["dropped"]);
        assert_eq!(spawn(async { 7 }).await, 7);
        sleep(Duration::from_millis(1)).await;
    });
}

#[test]
fn a_runtime_dropped_by_the_destructor_of_a_task_of_another_drops_its_tasks() {
    let (outer, trace) = (runtime(), Trace::default());
    let inner = runtime();
    waiting_task(&inner, &trace);
    let owner = async move {
        let _inner = inner;
        pending::<()>().await
    };
    outer.spawn(owner).detach();
    settle(&outer);
    drop(outer);
    assert_eq!(trace.take(), ["dropped"]);
}

thread_local! {
    static LAST: RefCell<Option<AtThreadEnd>> = const { RefCell::new(None) };
    static RUNTIME: Runtime = runtime();
}

/// Does something when its thread ends.
struct AtThreadEnd(Option<Box<dyn FnOnce()>>);

impl Drop for AtThreadEnd {
    fn drop(&mut self) {
        self.0.take().expect("dropped once")();
    }
}

/// Whether the thread's pointer to its current runtime is still there when the thread-local that
/// uses a runtime is destroyed: what was used first is destroyed last, on Linux.
#[derive(Clone, Copy, Debug)]
enum Order {
    Before,
    After,
}

/// Runs `at_end` as a thread-local's destructor, in both orders.
fn in_thread_local_destructors(at_end: fn(Sender<&'static str>) -> Box<dyn FnOnce()>) {
    for order in [Order::Before, Order::After] {
        let (sender, said) = mpsc::channel();
        let ending = thread::spawn(move || {
            let set = |end| LAST.set(Some(AtThreadEnd(Some(end))));
            match order {
                Order::Before => {
                    run(async {});
                    set(at_end(sender));
                }
                Order::After => {
                    set(Box::new(|| {}));
                    run(async {});
                    set(at_end(sender));
                }
            }
        });
        ending.join().unwrap();
        assert_eq!(said.iter().collect::<Vec<_>>(), ["done"], "{order:?}");
    }
}

#[test]
fn a_runtime_dropped_in_a_thread_local_destructor_drops_its_tasks() {
    in_thread_local_destructors(|sender| {
        let runtime = runtime();
        let dropped = Rc::new(Cell::new(false));
        let (told, sees) = (Rc::clone(&dropped), Rc::clone(&dropped));
        let task = runtime.spawn(async move {
            let _guard = OnDrop(|| told.set(true));
            sleep(DEADLINE).await;
        });
        task.detach();
        settle(&runtime);
        Box::new(move || {
            drop(runtime);
            if sees.get() {
                sender.send("done").unwrap();
            }
        })
    });
}

#[test]
fn a_runtime_made_in_a_thread_local_destructor_runs_and_goes() {
    in_thread_local_destructors(|sender| {
        Box::new(move || {
            let runtime = runtime();
            let task = runtime.spawn(async { yield_now().await });
            runtime.block_on(task);
            sender.send("done").unwrap();
        })
    });
}

/// Exiting destroys this thread's locals, on glibc, and with them a runtime that is running.
#[test]
fn a_task_of_a_thread_local_runtime_that_exits_the_process_does_exit_it() {
    if child::role().is_some() {
        RUNTIME.with(|runtime| {
            runtime.spawn(pending::<()>()).detach();
            let task = runtime.spawn(async {
                yield_now().await;
                process::exit(42)
            });
            run_on(runtime, task);
        });
    }
    if !cfg!(miri) {
        let name = "endings::a_task_of_a_thread_local_runtime_that_exits_the_process_does_exit_it";
        let mut command = child::command(name, "exit in a task");
        command.env("SELKIE_BACKEND", BackendKind::from_env().unwrap().name());
        let ended = child::end(&mut command, DEADLINE);
        assert_eq!(ended.status.code(), Some(42), "{ended:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "leaks on purpose")]
fn a_runtime_that_is_forgotten_takes_nothing_else_with_it() {
    let runtime = runtime();
    let task = runtime.spawn(async { pending::<()>().await });
    settle(&runtime);
    mem::forget(runtime);
    drop(task);
    assert_eq!(run(async { 7 }), 7);
}
