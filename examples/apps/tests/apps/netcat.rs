//! `netcat`, as Python starts it: with every kind of standard input.

use std::path::Path;
use std::process::Command;

use crate::foreign::{content, python};
use crate::process::Program;

#[test]
fn netcat_takes_a_pipe_a_file_a_device_and_a_terminal_and_leaves_them_as_they_were() {
    every_input(env!("CARGO_BIN_EXE_netcat").as_ref());
}

/// Every kind of standard input.
pub fn every_input(program: &Path) {
    let Some(mut script) = python("netcat.py", "pty") else { return };
    let out = content(script.arg(program));
    assert_eq!(out, ["pipe", "file", "/dev/null", "terminal", "the other side ends first"]);
}

#[test]
fn nobody_at_the_address_is_an_error_that_says_so() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_netcat"));
    let ended = Program::start(command.arg(nobody.to_string())).end();
    assert!(!ended.status.success());
    assert!(ended.err[0].to_lowercase().contains("connection refused"), "{:?}", ended.err);
}
