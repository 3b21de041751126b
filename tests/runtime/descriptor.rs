//! What a foreign loop sees of a runtime that it watches by its descriptor: whatever happens
//! between two turns makes it readable, and nothing else does. The table in
//! `src/guide/embedding.md`, line by line; deadlines are in `alarm.rs`.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use selkie::selector::BackendKind;
use selkie::{Async, Builder, Runtime, Task, Turn, UnobservedPanic, sleep, spawn, yield_now};

use crate::liar;
use crate::util::{
    DEADLINE, is_readable, panic_text, run, run_on, turn_until, wait_until_readable,
};

/// Those that have a descriptor.
pub const KINDS: &[BackendKind] = &[
    BackendKind::Epoll,
    #[cfg(all(feature = "polling", not(polling_test_poll_backend)))]
    BackendKind::Polling,
];

/// Runs `test` on a runtime of each back end that has a descriptor. All of these ask at which
/// moment it is readable.
pub fn on_each(test: impl Fn(Runtime)) {
    on_each_built(Builder::new(), test);
}

/// As [`on_each`], with other settings.
pub fn on_each_built(builder: Builder, test: impl Fn(Runtime)) {
    let _prompt = liar::only_hidden_lies("an event is told at once");
    on_each_kind(builder, test);
}

/// As [`on_each_built`], for tests that find what comes later, too.
pub fn on_each_kind(builder: Builder, test: impl Fn(Runtime)) {
    for &kind in KINDS {
        test(liar::build_on(builder.clone(), kind).unwrap());
    }
}

/// A task that has left its waker, and waits.
fn waiting(runtime: &Runtime) -> Waker {
    let waker = Rc::new(RefCell::new(None));
    let shelf = Rc::clone(&waker);
    let leaves_its_waker = poll_fn(move |cx| {
        *shelf.borrow_mut() = Some(cx.waker().clone());
        Poll::<()>::Pending
    });
    runtime.spawn(leaves_its_waker).detach();
    assert_quiet(runtime);
    waker.take().expect("it was polled")
}

/// Takes turns as a foreign loop does that looks at nothing but the descriptor, until that is not
/// readable any more; then there must be nothing left to do. Returns how many turns it took.
#[track_caller]
pub fn assert_quiet(runtime: &Runtime) -> usize {
    let mut turns = 0;
    while is_readable(runtime) {
        assert!(turns < 1_000, "readable though there is nothing to do");
        runtime.turn(Some(Duration::ZERO)).unwrap();
        turns += 1;
    }
    assert!(!runtime.has_ready_tasks(), "tasks can go on, but nobody is told");
    let turn = runtime.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(turn, Turn::default(), "there was something to do, but nobody was told");
    turns
}

/// The next turn has something to do, and it shows.
#[track_caller]
fn assert_shows_work(runtime: &Runtime) {
    assert!(is_readable(runtime), "a foreign loop would sleep on");
    assert!(runtime.turn(Some(Duration::ZERO)).unwrap().polls > 0);
    assert_quiet(runtime);
}

fn elsewhere<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join().unwrap())
}

#[test]
fn a_runtime_with_nothing_to_do_is_not_readable() {
    on_each(|runtime| {
        assert!(!is_readable(&runtime));
        let (near, _far) = UnixStream::pair().unwrap();
        let near = runtime.enter(|| Async::new(near)).unwrap();
        runtime.spawn(async move { near.readable().await }).detach();
        runtime.spawn(sleep(DEADLINE)).detach();
        runtime.spawn(pending::<()>()).detach();
        assert_quiet(&runtime);
        assert_quiet(&runtime);
    });
}

#[test]
fn an_event_of_a_source_makes_it_readable() {
    on_each(|runtime| {
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = Rc::new(runtime.enter(|| Async::new(near)).unwrap());
        for _ in 0..3 {
            let waits = Rc::clone(&near);
            let task = runtime.spawn(async move {
                waits.read_with(|mut io| std::io::Read::read(&mut io, &mut [0; 8])).await
            });
            assert_quiet(&runtime);
            far.write_all(b"x").unwrap();
            assert_shows_work(&runtime);
            assert!(task.is_finished());
        }
    });
}

#[test]
fn a_source_made_between_turns_that_is_ready_already_makes_it_readable() {
    on_each(|runtime| {
        assert_quiet(&runtime);
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"x").unwrap();
        let near = runtime.enter(|| Async::new(near)).unwrap();
        assert!(is_readable(&runtime));
        assert_ne!(runtime.turn(Some(Duration::ZERO)).unwrap().events, 0);
        drop(near);
        assert_quiet(&runtime);
    });
}

#[test]
fn an_interest_of_a_task_that_was_polled_between_turns_makes_it_readable() {
    on_each(|runtime| {
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = runtime.enter(|| Async::new(near)).unwrap();
        assert_quiet(&runtime);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(near.poll_readable(&mut cx).is_pending());
        assert!(!is_readable(&runtime));
        far.write_all(b"x").unwrap();
        assert!(is_readable(&runtime));
    });
}

#[test]
fn a_wake_from_another_thread_makes_it_readable() {
    on_each(|runtime| {
        let waker = waiting(&runtime);
        for _ in 0..3 {
            elsewhere(|| waker.wake_by_ref());
            assert_shows_work(&runtime);
        }
    });
}

#[test]
fn a_wake_on_the_same_thread_between_turns_makes_it_readable() {
    on_each(|runtime| {
        let waker = waiting(&runtime);
        for _ in 0..3 {
            waker.wake_by_ref();
            assert_shows_work(&runtime);
        }
    });
}

#[test]
fn a_wake_inside_enter_makes_it_readable() {
    on_each(|runtime| {
        let waker = waiting(&runtime);
        for _ in 0..3 {
            runtime.enter(|| waker.wake_by_ref());
            assert_shows_work(&runtime);
        }
    });
}

#[test]
fn a_wake_in_a_task_of_another_runtime_makes_it_readable() {
    on_each(|runtime| {
        let waker = waiting(&runtime);
        run(async { spawn(async move { waker.wake() }).await });
        assert_shows_work(&runtime);
    });
}

#[test]
fn a_task_spawned_between_turns_makes_it_readable() {
    on_each(|runtime| {
        for _ in 0..3 {
            runtime.spawn(async {}).detach();
            assert_shows_work(&runtime);
            runtime.enter(|| spawn(async {}).detach());
            assert_shows_work(&runtime);
        }
    });
}

#[test]
fn a_task_spawned_by_a_remote_makes_it_readable() {
    on_each(|runtime| {
        let remote = runtime.remote();
        for _ in 0..3 {
            elsewhere(|| remote.spawn(|| async {}).unwrap().detach());
            assert_shows_work(&runtime);
        }
    });
}

#[test]
fn a_cancellation_between_turns_makes_it_readable() {
    on_each(|runtime| {
        let (guard, dropped) = mpsc::channel::<()>();
        let task = runtime.spawn(async move {
            let _guard = guard;
            pending::<()>().await
        });
        assert_quiet(&runtime);
        drop(task);
        assert_shows_work(&runtime);
        assert_eq!(dropped.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    });
}

#[test]
fn a_notification_makes_it_readable_for_one_turn() {
    on_each(|runtime| {
        for _ in 0..3 {
            runtime.remote().notify();
            assert!(is_readable(&runtime));
            runtime.turn(Some(Duration::ZERO)).unwrap();
            assert!(!is_readable(&runtime));
        }
    });
}

#[test]
fn tasks_that_a_turn_has_left_keep_it_readable() {
    on_each(|runtime| {
        (0..300).for_each(|_| runtime.spawn(async {}).detach());
        for _ in 0..2 {
            assert!(runtime.turn(Some(Duration::ZERO)).unwrap().more);
            assert!(is_readable(&runtime));
        }
        assert!(!runtime.turn(Some(Duration::ZERO)).unwrap().more);
        assert_quiet(&runtime);
    });
}

#[test]
fn tasks_that_a_block_on_has_left_keep_it_readable() {
    on_each(|runtime| {
        run_on(&runtime, async { spawn(async {}).detach() });
        assert_shows_work(&runtime);
    });
}

#[test]
fn after_a_panic_wakes_of_all_kinds_still_make_it_readable() {
    on_each(|runtime| {
        let waker = waiting(&runtime);
        panic_text(|| runtime.block_on(async { resume_unwind(Box::new("the test's panic")) }));
        assert_quiet(&runtime);
        elsewhere(|| waker.wake_by_ref());
        assert_shows_work(&runtime);
        let timed = runtime.spawn(sleep(Duration::from_millis(1)));
        turn_until(&runtime, || timed.is_finished());
        waker.wake();
        assert_shows_work(&runtime);
    });
}

#[test]
fn an_unobserved_panic_found_between_turns_makes_it_readable() {
    on_each_built(Builder::new().unobserved_panic(UnobservedPanic::Resume), |runtime| {
        let panics = async { resume_unwind(Box::new("the test's panic")) };
        let task: Task<()> = runtime.spawn(panics);
        assert_quiet(&runtime);
        drop(task);
        assert!(is_readable(&runtime));
        assert_eq!(panic_text(|| runtime.turn(Some(Duration::ZERO))), "the test's panic");
        assert_quiet(&runtime);
    });
}

/// A foreign loop that knows nothing but the descriptor, and threads that answer at once.
#[test]
fn no_wake_is_lost_between_the_turns_of_a_foreign_loop() {
    on_each(|runtime| {
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                runtime.spawn(async {
                    let (requests, received) = mpsc::channel::<oneshot::Sender<()>>();
                    let answers = move || {
                        received.iter().for_each(|request| request.send(()).unwrap());
                    };
                    let thread = thread::spawn(answers);
                    for _ in 0..3_000 {
                        let (sender, receiver) = oneshot::channel();
                        requests.send(sender).unwrap();
                        receiver.await.unwrap();
                    }
                    drop(requests);
                    thread.join().unwrap();
                })
            })
            .collect();
        while !tasks.iter().all(|task| task.is_finished()) {
            wait_until_readable(&runtime);
            runtime.turn(Some(Duration::ZERO)).unwrap();
        }
        assert_quiet(&runtime);
    });
}

#[test]
fn a_back_end_without_a_descriptor_says_so() {
    for kind in [BackendKind::Poll, BackendKind::Select] {
        let runtime = Builder::new().backend(kind).build().unwrap();
        assert_eq!(runtime.descriptor().unwrap_err().kind(), ErrorKind::Unsupported);
        let text = panic_text(|| runtime.as_fd().as_raw_fd());
        assert_eq!(
            text,
            "the runtime has no descriptor to lend: this runtime's back end has no descriptor that another loop could watch; build the \
             runtime with Builder::backend(BackendKind::DEFAULT)"
        );
    }
}

#[test]
fn the_descriptor_is_one_and_the_same_for_the_life_of_the_runtime() {
    on_each(|runtime| {
        let before = runtime.as_fd().as_raw_fd();
        run_on(&runtime, yield_now());
        assert_eq!(runtime.as_raw_fd(), before);
        assert_eq!(runtime.descriptor().unwrap().as_raw_fd(), before);
    });
}
