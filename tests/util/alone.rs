//! A test in a process of its own: signals, children, standard input and threads are things that
//! all tests of one process share.

#![allow(dead_code)] // No test binary needs all of it.

use std::any::type_name;
use std::fs::DirEntry;
use std::io;
use std::process::Command;

use crate::child;

/// The command that runs the calling test alone; `test` is a closure of it.
pub fn command<F: Fn()>(_test: &F) -> Command {
    let path = type_name::<F>().trim_end_matches("::{{closure}}");
    let (_crate, name) = path.split_once("::").expect("a test of a module");
    let mut command = child::command(name, "alone");
    if let Some(backend) = std::env::var_os("SELKIE_BACKEND") {
        command.env("SELKIE_BACKEND", backend);
    }
    command
}

/// Runs `test` in a process of its own, and insists that it passes.
#[track_caller]
pub fn alone(test: impl Fn()) {
    alone_and(test, || ());
}

/// As [`alone`], with `after` at the end of the test, in its process.
#[track_caller]
pub fn alone_and(test: impl Fn(), after: impl FnOnce()) {
    if child::role().is_some() {
        test();
        after();
    } else {
        child::run(&mut command(&test));
    }
}

/// How many threads this process has.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// The names of this process's threads, sorted.
pub fn thread_names() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // One that ends just now has no name any more.
    let name = |task: io::Result<DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("comm")).ok()
    };
    let mut names: Vec<_> = tasks.filter_map(name).map(|name| name.trim().to_owned()).collect();
    names.sort();
    names
}
