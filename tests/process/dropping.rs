//! Children that nobody waits for any more.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::AsyncReadExt;
use selkie::process::{Child, Command};
use selkie::{sleep, timeout};

use crate::alone::{alone, threads};
use crate::util::{DEADLINE, open_descriptors, run, runtime};
use crate::{assert_childless, is_childless, shell};

/// A child that does not end; it runs already.
async fn sleeper(kill_on_drop: bool) -> Child {
    let mut command = shell("echo; exec sleep 60");
    let mut child = command.kill_on_drop(kill_on_drop).stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).await.unwrap();
    child
}

fn is_there(id: u32) -> bool {
    // A zombie is there, too.
    fs::exists(format!("/proc/{id}")).unwrap()
}

/// Waits until the child is gone, with nothing left of it.
async fn until_gone(id: u32) {
    let deadline = Instant::now() + DEADLINE / 2;
    while is_there(id) {
        assert!(Instant::now() < deadline, "it is still there");
        sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn a_child_that_is_killed_on_drop_leaves_no_zombie() {
    alone(|| {
        run(async || {
            let child = sleeper(true).await;
            let id = child.id();
            drop(child);
            until_gone(id).await;
            assert_childless();
        });
    });
}

#[test]
fn a_child_that_is_killed_with_its_runtime_leaves_no_zombie() {
    alone(|| {
        // Dropped at the end of the future, by a task that the runtime drops, and after it.
        runtime().block_on(async { drop(sleeper(true).await) });
        assert_childless();
        let with_task = runtime();
        with_task.block_on(async {
            let child = sleeper(true).await;
            selkie::spawn(async move {
                let _child = child;
                std::future::pending::<()>().await;
            })
            .detach();
            selkie::yield_now().await;
        });
        drop(with_task);
        assert_childless();
        let early = runtime();
        let child = early.block_on(sleeper(true));
        drop(early);
        drop(child);
        assert_childless();
    });
}

#[test]
fn a_child_that_is_dropped_goes_on_and_leaves_no_zombie_when_it_ends() {
    alone(|| {
        run(async || {
            let mut command = Command::new("cat");
            let mut cat = command.stdin(Stdio::piped()).spawn().unwrap();
            let (id, input) = (cat.id(), cat.stdin.take());
            drop(cat);
            sleep(Duration::from_millis(20)).await;
            assert!(is_there(id));
            drop(input);
            until_gone(id).await;
            assert_childless();
        });
    });
}

#[test]
fn a_child_that_has_ended_when_it_is_dropped_leaves_no_zombie() {
    alone(|| {
        run(async || {
            let mut child = shell("exit 0").stdout(Stdio::piped()).spawn().unwrap();
            let mut end = Vec::new();
            child.stdout.as_mut().unwrap().read_to_end(&mut end).await.unwrap();
            let id = child.id();
            drop(child);
            until_gone(id).await;
            assert_childless();
        });
    });
}

#[test]
fn a_timeout_kills_if_that_was_asked_for() {
    alone(|| {
        run(async || {
            let mut command = shell("exec sleep 60");
            let late = timeout(Duration::from_millis(20), command.kill_on_drop(true).output());
            assert!(late.await.is_err());
            let deadline = Instant::now() + DEADLINE / 2;
            while !is_childless() {
                assert!(Instant::now() < deadline, "it is still there");
                sleep(Duration::from_millis(1)).await;
            }
        });
    });
}

#[test]
fn a_runtime_that_is_dropped_does_not_wait_for_children_that_run_on() {
    alone(|| {
        let start = Instant::now();
        let id = runtime().block_on(async {
            let child = sleeper(false).await;
            child.id()
        });
        assert!(start.elapsed() < DEADLINE, "it waited");
        assert!(is_there(id));
        let pid = rustix::process::Pid::from_raw(id.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    });
}

#[test]
fn children_leave_no_descriptor_and_no_thread() {
    alone(|| {
        run(async || {
            let (threads_before, open_before) = (threads(), open_descriptors());
            for kill in [true, false] {
                let mut command = shell("echo; exec cat");
                command.kill_on_drop(kill).stdin(Stdio::piped()).stdout(Stdio::piped());
                let child = command.spawn().unwrap();
                let id = child.id();
                assert_eq!(open_descriptors(), open_before + 3);
                drop(child);
                until_gone(id).await;
            }
            let mut child = shell("exit 0").spawn().unwrap();
            child.wait().await.unwrap();
            // Though the child is still there.
            assert_eq!((threads(), open_descriptors()), (threads_before, open_before));
        });
    });
}
