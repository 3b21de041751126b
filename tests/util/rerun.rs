//! One test of this binary in a process of its own.

use std::env;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::util::DEADLINE;

/// Runs the test `name` alone, in a process in which the variable `marker` is "1", and ends that
/// process if it does not end by itself.
pub fn run_test_alone(name: &str, marker: &str) -> ExitStatus {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--test-threads=1", name])
        .env(marker, "1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    let (sender, status) = mpsc::channel();
    let waiter = thread::spawn(move || sender.send(child.wait().unwrap()));
    let in_time = status.recv_timeout(DEADLINE);
    if in_time.is_err() {
        kill_process(pid, Signal::KILL).unwrap();
    }
    waiter.join().unwrap().ok();
    in_time.unwrap_or_else(|_| panic!("{name} did not end within {DEADLINE:?}"))
}
