//! Threads of a process that runs a selkie and one of these crates. Each test has a process of its
//! own: one thread is the test's, and one the harness's.

use std::fs;
use std::time::Duration;

use futures::StreamExt;
use selkie::Async;

use crate::alone::alone;

/// The names of the threads that came while `f` ran in a selkie.
fn new_threads<T>(f: impl AsyncFnOnce() -> T) -> Vec<String> {
    let before = names();
    let (_value, mut after) = selkie::block_on(async {
        let value = f().await;
        (value, names())
    });
    for name in before {
        after.remove(after.iter().position(|other| *other == name).unwrap());
    }
    after
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
        let brought = new_threads(async || {
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
        let brought = new_threads(async || {
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
        let brought = new_threads(async || async_io::Timer::after(Duration::from_millis(1)).await);
        assert_eq!(brought, ["async-io"]);
    });
}

#[test]
fn async_signal_brings_the_thread_of_async_io() {
    alone(|| {
        let brought = new_threads(async || {
            let mut signals = async_signal::Signals::new([async_signal::Signal::Usr1]).unwrap();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1)
                .unwrap();
            signals.next().await.unwrap().unwrap();
        });
        assert!(brought.contains(&"async-io".to_owned()), "{brought:?}");
    });
}

#[test]
fn async_process_brings_a_thread_for_children_and_that_of_async_io() {
    alone(|| {
        let brought = new_threads(async || {
            let mut child = async_process::Command::new("true").spawn().unwrap();
            assert!(child.status().await.unwrap().success());
        });
        assert!(brought.contains(&"async-process".to_owned()), "{brought:?}");
        assert!(brought.contains(&"async-io".to_owned()), "{brought:?}");
    });
}

#[test]
fn blocking_brings_a_thread_for_its_work() {
    alone(|| {
        let brought = new_threads(async || blocking::unblock(|| 7).await);
        assert!(brought.iter().all(|name| name.starts_with("blocking-")), "{brought:?}");
        assert_eq!(brought.len(), 1);
    });
}
