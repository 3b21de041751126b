//! Clients and servers that know nothing of selkie.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::process::Program;

/// Tells that a test cannot run here. In CI everything has to be there.
pub fn skip(what: &str) {
    assert_ne!(env::var_os("CI").as_deref(), Some(OsStr::new("true")), "CI needs {what}");
    println!("skipped: there is no {what}");
}

/// True if the command can be run, and ends well.
fn works(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A tool that tells its version when it is asked so.
pub fn tool(name: &str, version: &str) -> Option<Command> {
    if works(Command::new(name).arg(version)) {
        return Some(Command::new(name));
    }
    skip(name);
    None
}

/// A Python program of this folder, by an interpreter that has `module`.
pub fn python(script: &str, module: &str) -> Option<Command> {
    // Debian's packages are seen by Debian's interpreter, which need not be the first one.
    for interpreter in ["python3", "/usr/bin/python3"] {
        if works(Command::new(interpreter).args(["-c", &format!("import {module}")])) {
            let mut command = Command::new(interpreter);
            command.arg("-u").arg(folder().join(script));
            return Some(command);
        }
    }
    skip(&format!("python3 with the module {module}"));
    None
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps")
}

/// Runs a foreign program to its end, and insists that it is content.
#[track_caller]
pub fn content(command: &mut Command) -> Vec<String> {
    let ended = Program::start(command).end();
    assert!(ended.status.success(), "{command:?}: {:#?} {:#?}", ended.out, ended.err);
    ended.out
}

/// As [`content`], with what it prints as bytes.
#[track_caller]
pub fn output(command: &mut Command) -> Vec<u8> {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    stdout
}
