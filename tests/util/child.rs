//! A test that runs again in a process of its own, where it may look at all descriptors or set
//! the environment.

use std::env;
use std::process::{Command, Output, Stdio};

/// Tells the child that it is one, and what to do.
const ROLE: &str = "SELKIE_TEST_CHILD";

/// What this process is to do if it is a child.
pub fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// The command that runs the test `name` of this binary alone, as a child with this role.
pub fn command(name: &str, role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env_remove("SELKIE_BACKEND")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end, insists that it ran just this test and passed, and returns what it
/// printed.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "the child failed:\n{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "the child ran another number of tests:\n{stdout}");
    stdout
}
