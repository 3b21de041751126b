//! Threads of a process that runs a selkie and one of these crates. Each test has a process of its
//! own: one thread is the test's, and one the harness's.

use std::fs;
use std::time::{Duration, Instant};

use futures::StreamExt;
use selkie::Async;

use crate::alone::alone;

/// The names of the threads that came while `f` ran in a selkie; one of them is, soon, `expected`.
fn new_threads<T>(expected: Option<&str>, f: impl AsyncFnOnce() -> T) -> Vec<String> {
    let before = names();
    selkie::block_on(async {
        let _value = f().await;
        let patience = Instant::now() + Duration::from_secs(10);
        loop {
            let mut after = names();
            for name in &before {
                after.remove(after.iter().position(|other| other == name).unwrap());
            }
            // A thread gives itself its name, a moment after it was started.
            let is_there = |expected| after.iter().any(|name| name == expected);
            if expected.is_none_or(is_there) {
                return after;
            }
            assert!(Instant::now() < patience, "{expected:?} is none of {after:?}");
            selkie::sleep(Duration::from_millis(1)).await;
        }
    })
}

fn names() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // One may have ended since.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn what_needs_traits_alone_brings_no_thread() {
    alone(|| {
        let brought = new_threads(None, async || {
            let (sender, receiver) = async_channel::bounded(1);
            let (mut near, far) = Async::<std::os::unix::net::UnixStream>::pair().unwrap();
            let (sent, received) = futures::join!(sender.send(7), receiver.recv());
            sent.unwrap();
            assert_eq!(received.unwrap(), 7);
            futures::AsyncWriteExt::write_all(&mut near, b"hi").await.unwrap();
            selkie::time::sleep(Duration::from_millis(1)).await;
            far
        });
        assert_eq!(brought, [""; 0]);
    });
}

#[test]
fn features_of_selkie_for_these_libraries_bring_no_thread() {
    alone(|| {
        let brought = new_threads(None, async || {
            let signals = selkie::signal::Signals::new([selkie::signal::SIGUSR1]).unwrap();
            hyper::rt::Timer::sleep(&selkie::hyper::Timer, Duration::from_millis(1)).await;
            signals
        });
        assert_eq!(brought, [""; 0]);
    });
}

#[test]
fn async_io_brings_its_thread_with_the_first_timer() {
    alone(|| {
        let brought = new_threads(Some("async-io"), async || {
            async_io::Timer::after(Duration::from_millis(1)).await
        });
        assert_eq!(brought, ["async-io"]);
    });
}

#[test]
fn async_signal_brings_the_thread_of_async_io() {
    alone(|| {
        let brought = new_threads(Some("async-io"), async || {
            let mut signals = async_signal::Signals::new([async_signal::Signal::Usr1]).unwrap();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1)
                .unwrap();
            signals.next().await.unwrap().unwrap();
        });
        assert!(!brought.is_empty());
    });
}

#[test]
fn async_process_brings_a_thread_for_children_and_that_of_async_io() {
    alone(|| {
        let brought = new_threads(Some("async-process"), async || {
            let mut child = async_process::Command::new("true").spawn().unwrap();
            assert!(child.status().await.unwrap().success());
        });
        assert_eq!(brought.len(), 2, "{brought:?}");
    });
}

#[test]
fn blocking_brings_a_thread_for_its_work() {
    alone(|| {
        let brought = new_threads(Some("blocking-1"), async || blocking::unblock(|| 7).await);
        assert_eq!(brought, ["blocking-1"]);
    });
}
