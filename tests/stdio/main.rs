//! Standard input, output and error of every kind. Each test runs in a process of its own, which
//! puts what it is about in place of its standard descriptors.

#![cfg(target_os = "linux")]

#[path = "../util/alone.rs"]
mod alone;
#[path = "../util/child.rs"]
mod child;
#[path = "../util/liar/mod.rs"]
mod liar;
#[path = "../util/terminal.rs"]
mod terminal;
#[allow(dead_code, unused_imports)] // Not all of it is needed here.
#[path = "../util/async_io.rs"]
mod util;

mod bad_input;
mod input;
mod output;
mod polled;

use std::io::{stderr, stdin, stdout};
use std::os::fd::{AsFd, OwnedFd};

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

use crate::alone::alone_and;
use crate::util::is_nonblocking;

/// Runs `test` in a process of its own, and insists that what it has as its standard descriptors
/// at its end is blocking, as it was.
#[track_caller]
fn with_stdio(test: impl Fn()) {
    let _quiet = liar::only_hidden_lies("nothing may happen by itself");
    alone_and(test, || {
        for fd in [stdin().as_fd(), stdout().as_fd(), stderr().as_fd()] {
            assert!(!is_nonblocking(fd), "{fd:?} was left non-blocking");
        }
    });
}

/// Makes `fd` the standard input.
fn redirect_input(fd: impl AsFd) {
    dup2_stdin(fd).unwrap();
}

/// Standard output, and standard error, are something else until this is dropped.
struct Redirected {
    former: [OwnedFd; 2],
}

/// Makes `fd` the standard output and the standard error.
fn redirect_output(fd: impl AsFd) -> Redirected {
    let former = [stdout().as_fd(), stderr().as_fd()].map(|fd| fd.try_clone_to_owned().unwrap());
    dup2_stdout(&fd).unwrap();
    dup2_stderr(&fd).unwrap();
    Redirected { former }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        dup2_stdout(&self.former[0]).unwrap();
        dup2_stderr(&self.former[1]).unwrap();
    }
}
