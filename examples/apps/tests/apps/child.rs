//! `child`, with programs of every system.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::process::Program;

fn child(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_child"));
    command.args(arguments);
    command
}

/// Pipes, a time that is up, and one that does not want to end.
pub fn pipes_and_times(program: &Path) {
    let child = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments);
        command
    };
    three_pipes(child(&["30", "sh", "-c", SHOUTS]));
    let ended = Program::start(&mut child(&["0.5", "sh", "-c", STUBBORN])).end();
    assert_eq!(ended.out[3..], ["signal: 9 (SIGKILL)"]);
}

const SHOUTS: &str = "tr a-z A-Z; echo oh dear >&2; exit 3";
const STUBBORN: &str = "trap '' TERM; echo begin; while :; do sleep 0.05; done";

#[test]
fn a_program_has_three_pipes_and_its_lines_are_told_apart() {
    three_pipes(child(&["30", "sh", "-c", SHOUTS]));
}

fn three_pipes(mut command: Command) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    let Output { status, stdout, .. } = running.wait_with_output().unwrap();
    assert!(status.success());
    let said = String::from_utf8(stdout).unwrap();
    let mut lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.pop(), Some("exit status: 3"));
    lines.sort_unstable();
    assert_eq!(lines, ["err: oh dear", "out: ONE", "out: TWO"]);
}

#[test]
fn a_program_that_takes_too_long_is_asked_to_end() {
    let before = Instant::now();
    let ended = Program::start(&mut child(&["0.1", "sleep", "3600"])).end();
    assert_eq!(ended.out, ["it took longer than 100ms", "signal: 15 (SIGTERM)"]);
    assert!(before.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_program_that_does_not_want_to_end_is_killed() {
    let ended = Program::start(&mut child(&["0.5", "sh", "-c", STUBBORN])).end();
    let expected = ["out: begin", "it took longer than 500ms", "it does not end by itself"];
    assert_eq!(ended.out[..3], expected);
    assert_eq!(ended.out[3], "signal: 9 (SIGKILL)");
}

#[test]
fn a_program_that_does_not_exist_is_an_error_that_names_it() {
    let ended = Program::start(&mut child(&["1", "no-such-program"])).end();
    assert!(!ended.status.success());
    assert!(ended.err[0].starts_with("no-such-program: "), "{:?}", ended.err);
    assert!(ended.err[0].contains("os error 2"), "{:?}", ended.err);
}

#[test]
fn a_time_that_is_none_is_refused() {
    for seconds in ["soon", "-1", "NaN", "1e99"] {
        let ended = Program::start(&mut child(&[seconds, "true"])).end();
        assert!(ended.err[0].contains("is no number of seconds"), "{:?}", ended.err);
    }
}
