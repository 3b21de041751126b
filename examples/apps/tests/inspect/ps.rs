//! `selkie-ps`, on a program of its own making.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;
use selkie::inspect::{Recording, listen, serve};
use selkie::{Runtime, sleep};
use tempfile::TempDir;

use crate::process::{Ended, Program, Stream};

/// A program that waits, and answers until it is dropped.
struct Asked {
    folder: TempDir,
    stop: Option<futures::channel::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Asked {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let (stop, stopped) = futures::channel::oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            let listener = runtime.enter(|| listen(path).unwrap());
            runtime.spawn_named("inspect", serve(listener)).detach();
            runtime.spawn_named("sleeper", sleep(Duration::from_secs(3600))).detach();
            ready.send(()).unwrap();
            let _ = runtime.block_on(stopped);
        });
        is_ready.recv().unwrap();
        Self { folder, stop: Some(stop), thread: Some(thread) }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("socket")
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

fn ps(path: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selkie-ps"));
    command.arg(path).args(arguments);
    command
}

#[track_caller]
fn printed(path: &Path, arguments: &[&str]) -> Vec<String> {
    let Ended { status, out, err } = Program::start(&mut ps(path, arguments)).end();
    assert!(status.success(), "{err:?}");
    out
}

#[test]
fn it_prints_table_numbers_and_a_trace() {
    let asked = Asked::start();
    let table = printed(&asked.path(), &[]);
    assert!(table.iter().any(|line| line.contains("sleeper")), "{table:#?}");
    let numbers = printed(&asked.path(), &["metrics"]);
    assert!(numbers.iter().any(|line| line.starts_with("selkie_turns_total ")), "{numbers:#?}");
    let trace = printed(&asked.path(), &["trace"]).join("\n");
    assert!(trace.starts_with('{') && trace.contains("sleeper"), "{trace}");
}

#[test]
fn it_hands_a_recording_on_that_can_be_read() {
    let asked = Asked::start();
    let out = ps(&asked.path(), &["recording"]).output().unwrap();
    let recording = Recording::read_from(&*out.stdout).unwrap();
    assert!(recording.entries().count() > 0);
}

#[test]
fn it_watches_until_ctrl_c_and_sees_the_program_end() {
    let asked = Asked::start();
    let path = asked.path();
    let mut program = Program::start(&mut ps(&path, &["--watch=0.01"]));
    for _ in 0..3 {
        program.wait_for(Stream::Out, |line| line.contains("sleeper"));
    }
    drop(asked);
    program.wait_for(Stream::Out, |line| line.starts_with(&path.display().to_string()));
    program.signal(Signal::INT);
    let Ended { status, err, .. } = program.end();
    assert!(status.success() && err.is_empty(), "{err:?}");
}

#[test]
fn what_cannot_be_had_is_an_error_in_a_sentence() {
    let asked = Asked::start();
    for (arguments, said) in [
        (&["weather"][..], "\"weather\" is not known here"),
        (&["--watch=soon"], "\"--watch=soon\" names no time"),
    ] {
        let Ended { status, err, .. } = Program::start(&mut ps(&asked.path(), arguments)).end();
        assert!(!status.success() && err[0].contains(said), "{err:?}");
    }
    let nowhere = asked.folder.path().join("nowhere");
    let Ended { status, err, .. } = Program::start(&mut ps(&nowhere, &[])).end();
    assert!(!status.success() && err[0].contains("No such file"), "{err:?}");
}

/// The bytes that a terminal of so many rows gets, by way of `script`, which has one. `None`: there is
/// no such program.
fn in_terminal(rows: u32, arguments: &str) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_selkie-ps");
    let command = format!("stty rows {rows}; timeout -s INT 2 {program} {arguments}");
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).stdin(std::process::Stdio::null());
    match script.output() {
        Ok(out) => Some(String::from_utf8_lossy(&out.stdout).into_owned()),
        Err(_) => {
            println!("skipped: there is no script(1)");
            None
        }
    }
}

#[test]
fn in_a_terminal_it_draws_in_place_and_leaves_that_as_it_was() {
    let asked = Asked::start();
    let arguments = format!("--watch=0.1 {}", asked.path().display());
    let Some(text) = in_terminal(24, &arguments) else { return };
    assert!(text.contains("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H"), "{text:?}");
    assert!(text.contains("sleeper") && text.contains("\x1b[K\r\n"), "{text:?}");
    assert!(text.trim_end().ends_with("\x1b[?7h\x1b[?25h\x1b[?1049l"), "{text:?}");
}

#[test]
fn a_table_that_is_longer_than_the_terminal_shows_its_first_lines() {
    let asked = Asked::start();
    let arguments = format!("--watch=0.1 {}", asked.path().display());
    let Some(text) = in_terminal(3, &arguments) else { return };
    // Summary, titles, the future of `block_on` and the sleeper.
    let frame = text.split("\x1b[H").nth(1).unwrap();
    let lines: Vec<_> = frame.split("\x1b[K\r\n").collect();
    assert_eq!(lines.len(), 3, "{text:?}");
    assert!(lines[0].starts_with("2 tasks: ") && lines[1].starts_with("TASK"), "{text:?}");
    assert!(lines[2].starts_with("… and 2 lines"), "{text:?}");
}

#[test]
fn an_answer_does_nothing_to_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let answers = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
        client.write_all(b"\x1b[2Jevil\r\nlines\n").unwrap();
    });
    let text = in_terminal(24, &path.display().to_string());
    let Some(text) = text else {
        // It still waits.
        drop(std::os::unix::net::UnixStream::connect(&path));
        return;
    };
    answers.join().unwrap();
    assert_eq!(text, "\u{fffd}[2Jevil\u{fffd}\r\nlines\r\n");
}
