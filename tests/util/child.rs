//! A test that runs again in a process of its own, where it may look at all descriptors, change
//! limits, set the environment, or exit.

#![allow(dead_code)] // No test binary needs all of it.

use std::env;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Tells the child that it is one, and what to do.
const ROLE: &str = "SELKIE_TEST_CHILD";

/// For a child to end. Only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What this process is to do if it is a child.
pub fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// The command that runs the test `name` of this binary alone, as a child with this role.
pub fn command(name: &str, role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([name, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env_remove("SELKIE_BACKEND")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end, which has to come before `patience` is at its own; else it is killed.
#[track_caller]
pub fn end(command: &mut Command, patience: Duration) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (sender, ended) = mpsc::channel();
    // Ends with the child.
    thread::spawn(move || sender.send(child.wait_with_output()));
    if let Ok(output) = ended.recv_timeout(patience) {
        return output.unwrap();
    }
    kill_process(pid, Signal::KILL).unwrap();
    let Output { stdout, stderr, .. } = ended.recv().unwrap().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    panic!("the child did not end within {patience:?}:\n{stdout}\n{stderr}");
}

/// Runs it to its end, insists that it ran just this test and passed, and returns what it
/// printed.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    run_within(command, PATIENCE)
}

/// As [`run`], for one that takes longer.
#[track_caller]
pub fn run_within(command: &mut Command, patience: Duration) -> String {
    let Output { status, stdout, stderr } = end(command, patience);
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "the child failed: {status}\n{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "the child ran another number of tests:\n{stdout}");
    stdout
}

/// How many descriptors this process has open. Only for a child, whose only test this is.
pub fn open_descriptors() -> usize {
    // The listing has one of its own.
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}
