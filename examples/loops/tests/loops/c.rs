//! The loops that are not in Rust, over the C interface.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Told, folder, skip};

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

/// True if there is a C compiler that finds `header`.
fn compiler_finds(header: &str) -> bool {
    let source = format!("echo '#include <{header}>' | cc -fsyntax-only -x c -");
    works(Command::new("sh").args(["-c", &source]))
}

#[test]
fn a_runtime_runs_in_a_plain_poll_loop_in_c() {
    if !compiler_finds("poll.h") {
        return skip("C compiler (cc)");
    }
    Told::by(&mut built("poll_loop", &[])).did_all(1, 3);
}

#[test]
fn a_runtime_runs_in_libuv_s_loop() {
    if !compiler_finds("uv.h") {
        return skip("libuv (Debian's libuv1-dev)");
    }
    Told::by(&mut built("uv_loop", &["uv"])).did_all(1, 3);
}

#[test]
fn a_runtime_runs_in_asyncio_s_loop() {
    if !works(Command::new("python3").args(["-c", "import asyncio, ctypes"])) {
        return skip("python3 with asyncio and ctypes");
    }
    let mut python = Command::new("python3");
    python.arg("-u").arg(folder("python").join("asyncio_loop.py")).arg(library());
    Told::by(&mut python).did_all(1, 3);
}
