//! When a runtime's descriptor is readable: the table in `src/guide/embedding.md`, line by line.
//!
//! A foreign loop knows a runtime by that descriptor alone. So whatever a turn would have to do
//! must show there, wherever it came from, and only that. On both back ends that have one.

use std::cell::RefCell;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use selkie::selector::BackendKind;
use selkie::{Async, Builder, Runtime, sleep, yield_now};

const HOUR: Duration = Duration::from_secs(3600);

/// So long that a busy machine fails no test. Waited for in full only by one that fails.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

fn with_each_backend(test: impl Fn(Runtime)) {
    with_each_builder(|builder| test(builder.build().unwrap()));
}

fn with_each_builder(test: impl Fn(Builder)) {
    for kind in [BackendKind::DEFAULT, BackendKind::Polling] {
        test(Builder::new().backend(kind));
    }
}

fn is_readable(runtime: impl AsFd, patience: Timespec) -> bool {
    let mut fds = [PollFd::new(&runtime, PollFlags::IN)];
    poll(&mut fds, Some(&patience)).unwrap() > 0
}

fn is_readable_now(runtime: &Runtime) -> bool {
    is_readable(runtime, Timespec { tv_sec: 0, tv_nsec: 0 })
}

/// Takes turns as a foreign loop does that looks at nothing but the descriptor; returns how many.
#[track_caller]
fn turn_while_readable(runtime: &Runtime) -> usize {
    for turns in 0..1000 {
        if !is_readable_now(runtime) {
            assert!(!runtime.has_ready_tasks(), "tasks can go on, but nobody is told");
            return turns;
        }
        runtime.turn(Some(Duration::ZERO)).unwrap();
    }
    panic!("the descriptor stays readable");
}

/// A task that notes that it has run.
fn note(notes: &Rc<RefCell<Vec<u32>>>, number: u32) -> impl Future<Output = ()> + 'static {
    let notes = Rc::clone(notes);
    async move { notes.borrow_mut().push(number) }
}

#[test]
fn an_idle_runtime_is_silent() {
    with_each_backend(|runtime| {
        turn_while_readable(&runtime);
        runtime.turn(Some(Duration::ZERO)).unwrap();
        assert!(!is_readable_now(&runtime));
        runtime.block_on(yield_now()).unwrap();
        assert!(!is_readable_now(&runtime));
    });
}

#[test]
fn a_task_spawned_between_turns_is_told_once() {
    with_each_backend(|runtime| {
        turn_while_readable(&runtime);
        let notes = Rc::default();
        (1..=3).for_each(|number| runtime.spawn(note(&notes, number)).detach());
        assert_eq!(turn_while_readable(&runtime), 1);
        runtime.enter(|| selkie::spawn(note(&notes, 4)).detach());
        assert_eq!(turn_while_readable(&runtime), 1);
        assert_eq!(*notes.borrow(), [1, 2, 3, 4]);
    });
}

#[test]
fn what_a_turn_leaves_to_the_next_is_told() {
    with_each_builder(|builder| {
        let runtime = builder.polls_per_turn(4.try_into().unwrap()).build().unwrap();
        turn_while_readable(&runtime);
        let notes = Rc::default();
        (0..10).for_each(|number| runtime.spawn(note(&notes, number)).detach());
        assert_eq!(turn_while_readable(&runtime), 3);
        assert_eq!(notes.borrow().len(), 10);
    });
}

#[test]
fn what_a_block_on_leaves_is_told() {
    with_each_backend(|runtime| {
        turn_while_readable(&runtime);
        let notes = Rc::default();
        let last = note(&notes, 1);
        runtime.block_on(async { selkie::spawn(last).detach() }).unwrap();
        turn_while_readable(&runtime);
        assert_eq!(*notes.borrow(), [1]);
    });
}

#[test]
fn a_wake_from_outside_a_turn_is_told_on_every_thread() {
    with_each_backend(|runtime| {
        for wake_on_another_thread in [false, true] {
            let (sender, receiver) = oneshot::channel();
            let task = runtime.spawn(receiver);
            turn_while_readable(&runtime);
            assert!(!task.is_finished());
            if wake_on_another_thread {
                let waker = thread::spawn(move || sender.send(7).unwrap());
                assert!(is_readable(&runtime, PATIENCE));
                waker.join().unwrap();
            } else {
                sender.send(7).unwrap();
            }
            turn_while_readable(&runtime);
            assert!(task.is_finished());
        }
    });
}

#[test]
fn a_wake_inside_enter_is_told() {
    with_each_backend(|runtime| {
        let (sender, receiver) = oneshot::channel();
        let task = runtime.spawn(receiver);
        turn_while_readable(&runtime);
        runtime.enter(|| sender.send(7).unwrap());
        turn_while_readable(&runtime);
        assert!(task.is_finished());
    });
}

#[test]
fn a_remote_spawn_and_a_notification_are_told() {
    with_each_backend(|runtime| {
        turn_while_readable(&runtime);
        let remote = runtime.remote();
        let spawner = thread::spawn(move || {
            remote.spawn(|| async { 7 }).unwrap().detach();
            remote
        });
        assert!(is_readable(&runtime, PATIENCE));
        let remote = spawner.join().unwrap();
        turn_while_readable(&runtime);
        remote.notify();
        assert_eq!(turn_while_readable(&runtime), 1);
    });
}

#[test]
fn a_task_that_is_cancelled_between_turns_is_told_and_dropped_in_a_turn() {
    with_each_backend(|runtime| {
        let kept = Rc::new(());
        let held = Rc::clone(&kept);
        let task = runtime.spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        turn_while_readable(&runtime);
        drop(task);
        turn_while_readable(&runtime);
        assert_eq!(Rc::strong_count(&kept), 1);
    });
}

#[test]
fn io_is_told_for_sources_made_inside_and_outside_a_turn() {
    with_each_backend(|runtime| {
        let (mut near, far) = UnixStream::pair().unwrap();
        let far = runtime.enter(|| Async::new(far).unwrap());
        let task = runtime.spawn(async move { far.readable().await });
        turn_while_readable(&runtime);
        assert!(!task.is_finished());
        near.write_all(b"!").unwrap();
        assert!(is_readable(&runtime, PATIENCE));
        turn_while_readable(&runtime);
        assert!(task.is_finished());
    });
}

#[test]
fn a_deadline_is_told_by_next_deadline_and_by_the_timer_descriptor() {
    with_each_builder(|builder| {
        let runtime = builder.clone().build().unwrap();
        assert_eq!(runtime.next_deadline(), None);
        let task = runtime.spawn(sleep(HOUR));
        turn_while_readable(&runtime);
        let deadline = runtime.next_deadline().expect("a task sleeps");
        assert!(deadline > Instant::now() + HOUR / 2 && deadline <= Instant::now() + HOUR);
        drop(task);
        turn_while_readable(&runtime);
        assert_eq!(runtime.next_deadline(), None);

        let task = runtime.spawn(sleep(Duration::from_millis(1)));
        turn_while_readable(&runtime);
        assert!(!is_readable(&runtime, Timespec { tv_sec: 0, tv_nsec: 20_000_000 }));
        assert!(runtime.next_deadline().expect("a task sleeps") < Instant::now());
        runtime.turn(Some(Duration::ZERO)).unwrap();
        assert!(task.is_finished());

        let runtime = builder.timer_fd(true).build().unwrap();
        let task = runtime.spawn(sleep(Duration::from_millis(20)));
        turn_while_readable(&runtime);
        let deadline = runtime.next_deadline().expect("a task sleeps");
        assert!(is_readable(&runtime, PATIENCE));
        assert!(Instant::now() >= deadline);
        turn_while_readable(&runtime);
        assert!(task.is_finished());
    });
}
