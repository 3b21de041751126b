//! The runtime inside other loops, and other loops inside the runtime: plain poll(2), a selector
//! beside raw keys, a selector that a task awaits, a runtime in a runtime. No loop here ever waits
//! with a timeout of its own, but for the deadline that the runtime names.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::future::{join_all, select};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use selkie::selector::BackendKind;
use selkie::{
    Async, Builder, EpollSelector, Events, Interest, Runtime, Selector, Task, Timer, sleep, spawn,
};

use crate::child;
use crate::descriptor::{KINDS, on_each_kind};
use crate::liar;
use crate::util::{DEADLINE, build, run_on};

/// Runs `test` on a runtime of each back end that has a descriptor, whatever lies that tells.
fn on_each(test: impl Fn(Runtime)) {
    on_each_kind(Builder::new(), test);
}

/// A runtime that others run in. The kernel lets epoll sets nest five deep: two are in each
/// descriptor, and a third one if lies are kept for later.
fn outer(kind: BackendKind) -> Runtime {
    let _shallow = liar::only_hidden_lies("another set would be one too many");
    liar::build_on(Builder::new(), kind).unwrap()
}

/// Everything that a loop has to serve, as one task: an echo, timers, other tasks.
async fn work() -> usize {
    let (near, far) = UnixStream::pair().unwrap();
    let (mut near, mut far) = (Async::new(near).unwrap(), Async::new(far).unwrap());
    let echo = spawn(async move {
        let mut buf = [0; 16];
        while let Ok(len @ 1..) = far.read(&mut buf).await {
            far.write_all(&buf[..len]).await.unwrap();
        }
    });
    let mut echoed = 0;
    for byte in 0..5 {
        sleep(Duration::from_millis(1)).await;
        near.write_all(&[byte]).await.unwrap();
        let mut answer = [0xff];
        near.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [byte]);
        echoed += 1;
    }
    drop(near);
    echo.await;
    echoed
}

/// How long a foreign loop may sleep for `runtime`; panics once the test takes too long.
fn until_next_deadline(runtime: &Runtime, end: Instant) -> Duration {
    let now = Instant::now();
    assert!(now < end, "not done within {DEADLINE:?}");
    runtime.next_deadline().map_or(end, |due| due.min(end)).saturating_duration_since(now)
}

/// Drives `runtime` by a loop over poll(2) until `done`.
fn poll_loop(runtime: &Runtime, done: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !done() {
        let timeout = Timespec::try_from(until_next_deadline(runtime, end)).unwrap();
        let mut fds = [PollFd::new(runtime, PollFlags::IN)];
        poll(&mut fds, Some(&timeout)).unwrap();
        runtime.turn(Some(Duration::ZERO)).unwrap();
    }
}

#[test]
fn a_plain_poll_loop_can_drive_a_runtime() {
    on_each(|runtime| {
        let task = runtime.spawn(work());
        poll_loop(&runtime, || task.is_finished());
        assert_eq!(run_on(&runtime, task), 5);
    });
}

/// A task that ends when one has ended that another thread spawns meanwhile.
fn spawned_elsewhere(runtime: &Runtime) -> (JoinHandle<()>, Task<usize>) {
    let (sender, receiver) = oneshot::channel();
    let remote = runtime.remote();
    let spawner = thread::spawn(move || {
        let work = remote.spawn(|| async move { sender.send(work().await).unwrap() });
        work.unwrap().detach();
    });
    (spawner, runtime.spawn(async { receiver.await.unwrap() }))
}

#[test]
fn what_other_threads_spawn_reaches_a_plain_poll_loop() {
    on_each(|runtime| {
        let (spawner, task) = spawned_elsewhere(&runtime);
        poll_loop(&runtime, || task.is_finished());
        assert_eq!(run_on(&runtime, task), 5);
        spawner.join().unwrap();
    });
}

#[test]
fn a_runtime_can_be_registered_in_a_selector_beside_raw_keys() {
    for outer in BackendKind::ALL {
        on_each(|runtime| {
            let runtime = Rc::new(runtime);
            let (mut near, far) = UnixStream::pair().unwrap();
            let mut selector = Selector::<Rc<dyn AsFd>, &str>::with_backend(outer.open().unwrap());
            selector.register(Rc::new(far), Interest::READ, "raw").unwrap();
            selector.register(Rc::clone(&runtime) as _, Interest::READ, "tasks").unwrap();
            let task = runtime.spawn(work());
            near.write_all(b"x").unwrap();
            let mut raw = 0;
            let mut events = Events::new();
            let end = Instant::now() + DEADLINE;
            while !task.is_finished() || raw == 0 {
                let timeout = until_next_deadline(&runtime, end);
                for (key, _) in selector.select(&mut events, Some(timeout)).unwrap() {
                    if selector[key].data == "raw" {
                        raw += 1;
                        selector.unregister(key).unwrap();
                    }
                }
                runtime.turn(Some(Duration::ZERO)).unwrap();
            }
            assert_eq!((run_on(&runtime, task), raw), (5, 1));
        });
    }
}

#[test]
fn with_a_timer_descriptor_a_selector_needs_no_timeout_to_drive_a_runtime() {
    for &kind in KINDS {
        let runtime = liar::build_on(Builder::new().timer_fd(true), kind).unwrap();
        let mut selector = EpollSelector::<BorrowedFd<'_>>::new().unwrap();
        selector.register(runtime.as_fd(), Interest::READ, ()).unwrap();
        let task = runtime.spawn(work());
        let mut events = Events::new();
        while !task.is_finished() {
            assert_eq!(selector.select(&mut events, Some(DEADLINE)).unwrap().count(), 1);
            runtime.turn(Some(Duration::ZERO)).unwrap();
        }
        assert_eq!(run_on(&runtime, task), 5);
    }
}

/// A duplicate, since the selector itself stays in the task's hands, to select on it.
fn duplicate(fd: impl AsFd) -> OwnedFd {
    fd.as_fd().try_clone_to_owned().unwrap()
}

#[test]
fn a_task_can_await_a_selector() {
    let runtime = build(Builder::new());
    let (mut far, near) = UnixStream::pair().unwrap();
    let selecting = runtime.spawn(async move {
        let mut selector = EpollSelector::<UnixStream, _>::new().unwrap();
        selector.register(near, Interest::READ, "raw").unwrap();
        let readable = Async::new(duplicate(&selector)).unwrap();
        let (mut bytes, mut events) = (Vec::<u8>::new(), Events::new());
        while bytes.len() < 3 {
            readable.readable().await.unwrap();
            for (key, readiness) in selector.select(&mut events, Some(Duration::ZERO)).unwrap() {
                assert!(readiness.is_readable());
                let mut buf = [0; 8];
                let len = (&selector[key].source).read(&mut buf).unwrap();
                bytes.extend(&buf[..len]);
            }
        }
        bytes
    });
    let writing = runtime.spawn(async move {
        for byte in 1..4 {
            far.write_all(&[byte]).unwrap();
            sleep(Duration::from_millis(1)).await;
        }
    });
    run_on(&runtime, writing);
    assert_eq!(run_on(&runtime, selecting), [1, 2, 3]);
}

/// Drives `inner` in a task of the current runtime, by its descriptor, until `task` has ended.
async fn drive<T>(inner: Runtime, task: Task<T>) -> T {
    let inner = Async::new(inner).unwrap();
    while !task.is_finished() {
        inner.get_ref().turn(Some(Duration::ZERO)).unwrap();
        if !task.is_finished() {
            inner.readable().await.unwrap();
        }
    }
    task.await
}

#[test]
fn a_runtime_can_run_inside_another_one_three_deep() {
    let _shallow = liar::only_hidden_lies("another set would be one too many");
    for &kind in KINDS {
        let runtime = || liar::build_on(Builder::new().timer_fd(true), kind).unwrap();
        let (middle, inner) = (runtime(), runtime());
        let innermost = inner.spawn(work());
        let beside = middle.spawn(work());
        let driving = middle.spawn(drive(inner, innermost));
        let both = middle.spawn(async move { (beside.await, driving.await) });
        // Not by epoll, whose sets the kernel lets nest five deep: two are in each descriptor.
        let outer = Builder::new().backend(BackendKind::Poll).build().unwrap();
        let beside = outer.spawn(work());
        assert_eq!(run_on(&outer, drive(middle, both)), (5, 5));
        assert_eq!(run_on(&outer, beside), 5);
    }
}

/// As [`drive`], for a runtime without a timer descriptor: the outer one keeps the time for it.
async fn drive_and_keep_time<T>(inner: Runtime, task: Task<T>) -> T {
    let inner = Async::new(inner).unwrap();
    loop {
        inner.get_ref().turn(Some(Duration::ZERO)).unwrap();
        if task.is_finished() {
            return task.await;
        }
        let due = inner.get_ref().next_deadline().map_or(Timer::never(), Timer::at);
        select(due, pin!(inner.readable())).await;
    }
}

#[test]
fn a_runtime_can_run_inside_another_one_of_each_kind() {
    for kind in BackendKind::ALL {
        on_each(|inner| {
            let outer = outer(*kind);
            let task = inner.spawn(work());
            let beside = outer.spawn(work());
            let driving = drive_and_keep_time(inner, task);
            assert_eq!(run_on(&outer, async { (driving.await, beside.await) }), (5, 5));
        });
    }
}

#[test]
fn a_runtime_inside_another_one_hears_of_other_threads() {
    on_each(|inner| {
        let (spawner, done) = spawned_elsewhere(&inner);
        let outer = outer(BackendKind::from_env().unwrap());
        assert_eq!(run_on(&outer, drive_and_keep_time(inner, done)), 5);
        spawner.join().unwrap();
    });
}

/// Asks another thread, again and again, and goes on with its answers.
async fn ask_around(rounds: usize) -> usize {
    let (requests, received) = mpsc::channel::<oneshot::Sender<usize>>();
    let answering = thread::spawn(move || {
        for (number, request) in received.into_iter().enumerate() {
            request.send(number).unwrap();
        }
    });
    for expected in 0..rounds {
        let (sender, receiver) = oneshot::channel();
        requests.send(sender).unwrap();
        assert_eq!(receiver.await, Ok(expected));
    }
    drop(requests);
    answering.join().unwrap();
    rounds
}

#[test]
fn no_wake_is_lost_by_a_runtime_inside_another_one() {
    for kind in BackendKind::ALL {
        on_each(|inner| {
            let outer = outer(*kind);
            let tasks = [(); 3].map(|()| inner.spawn(ask_around(1_000)));
            let all = inner.spawn(join_all(tasks));
            assert_eq!(run_on(&outer, drive_and_keep_time(inner, all)), [1_000; 3]);
        });
    }
}

#[test]
fn a_source_can_be_a_runtime_by_reference() {
    on_each(|inner| {
        let inner = Rc::new(inner);
        let outer = outer(BackendKind::from_env().unwrap());
        let watched = outer.enter(|| Async::new(duplicate(&inner))).unwrap();
        assert_ne!(watched.as_raw_fd(), inner.as_fd().as_raw_fd());
        let task = inner.spawn(async { 7 });
        run_on(&outer, async {
            watched.readable().await.unwrap();
            inner.turn(Some(Duration::ZERO)).unwrap();
        });
        assert!(task.is_finished());
    });
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn a_runtime_of_whatever_kind_has_no_thread_of_its_own() {
    if child::role().is_none() {
        let name = "loops::a_runtime_of_whatever_kind_has_no_thread_of_its_own";
        child::run(&mut child::command(name, "count threads"));
        return;
    }
    // The test runner's own thread, beside the one that it runs this test on.
    let before = threads();
    for kind in BackendKind::ALL {
        let runtime = Builder::new().backend(*kind).timer_fd(true).build().unwrap();
        let counted = runtime.spawn(async {
            let echoed = spawn(work());
            sleep(Duration::from_millis(1)).await;
            let threads = threads();
            (echoed.await, threads)
        });
        if runtime.descriptor().is_ok() {
            poll_loop(&runtime, || counted.is_finished());
        }
        assert_eq!(run_on(&runtime, counted), (5, before));
    }
    assert_eq!(threads(), before);
}
