//! The loops that are not in Rust, over the C interface.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{FEW, Told, folder, skip};

/// The loop of poll(2).
pub fn poll_loop() -> Option<Command> {
    compiler_finds("poll.h", "C compiler (cc)").then(|| built("poll_loop", &[]))
}

/// The loop of libuv.
pub fn uv_loop() -> Option<Command> {
    compiler_finds("uv.h", "libuv (Debian's libuv1-dev)").then(|| built("uv_loop", &["uv"]))
}

/// The loop of asyncio.
pub fn asyncio_loop() -> Option<Command> {
    if !works(Command::new("python3").args(["-c", "import asyncio, ctypes"])) {
        skip("python3 with asyncio and ctypes");
        return None;
    }
    let mut python = Command::new("python3");
    python.arg("-u").arg(folder("python").join("asyncio_loop.py")).arg(library());
    Some(python)
}

/// Where cargo puts the library: beside the programs of the tests.
fn library() -> PathBuf {
    let mut path = env::current_exe().unwrap();
    path.set_file_name("libselkie_loops.so");
    assert!(path.exists(), "{} is not built", path.display());
    path
}

/// True if the command can be run, and ends well.
fn works(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Builds a program of the folder `c`, with `libraries` beside this one.
fn built(name: &str, libraries: &[&str]) -> Command {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let library = library();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-O1", "-o"])
        .args([&program, &folder("c").join(name).with_extension("c"), &library])
        .arg(format!("-Wl,-rpath,{}", library.parent().unwrap().display()))
        .args(libraries.iter().map(|library| format!("-l{library}")));
    let output = compiler.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler:?}: {said}");
    Command::new(program)
}

/// True if there is a C compiler that finds `header`, which is part of `what`.
fn compiler_finds(header: &str, what: &str) -> bool {
    let source = format!("echo '#include <{header}>' | cc -fsyntax-only -x c -");
    let finds = works(Command::new("sh").args(["-c", &source]));
    if !finds {
        skip(what);
    }
    finds
}

#[test]
fn a_runtime_runs_in_a_plain_poll_loop_in_c() {
    let Some(mut program) = poll_loop() else { return };
    Told::by(&mut program).did_all(1, FEW);
}

#[test]
fn a_runtime_runs_in_libuv_s_loop() {
    let Some(mut program) = uv_loop() else { return };
    Told::by(&mut program).did_all(1, FEW);
}

#[test]
fn a_runtime_runs_in_asyncio_s_loop() {
    let Some(mut program) = asyncio_loop() else { return };
    Told::by(&mut program).did_all(1, FEW);
}
