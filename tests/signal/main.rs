//! The feature `signal`. Each test runs in a process of its own.

#![cfg(all(feature = "signal", target_os = "linux"))]

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
mod coming;
mod explicit;
mod former_action;

use nix::sys::signal::raise;
use selkie::signal::Signal;

/// Sends a signal to this thread. When it returns, the handler has run.
fn send(signal: Signal) {
    raise(signal.number().try_into().unwrap()).unwrap();
}
