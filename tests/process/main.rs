//! The feature `process`: children, awaited. Each test runs in a process of its own, whose
//! children are all its own.

#![cfg(all(feature = "process", target_os = "linux"))]

#[path = "../util/alone.rs"]
mod alone;
#[path = "../util/child.rs"]
mod child;
#[path = "../util/liar/mod.rs"]
mod liar;
#[allow(dead_code, unused_imports)] // Not all of it is needed here.
#[path = "../util/async_io.rs"]
mod util;

mod bad_input;
mod dropping;
mod ending;
mod failing;
mod many;
mod others;
mod pipes;
mod settings;

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use selkie::process::Command;

/// A command for the shell.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// False if this process has children, though they have ended.
fn is_childless() -> bool {
    // NOWAIT: whoever is there stays.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
}

#[track_caller]
fn assert_childless() {
    assert!(is_childless(), "there is a child left, perhaps a zombie");
}
