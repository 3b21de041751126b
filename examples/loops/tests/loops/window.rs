//! The program with a window, and a display for it.

use std::process::Command;

use crate::process::{Program, Stream};
use crate::skip;

/// The program, and the display that it needs for as long as it runs.
pub fn program() -> Option<(Command, Program)> {
    if Command::new("Xvfb").arg("-help").output().is_err() {
        skip("X server (Debian's xvfb)");
        return None;
    }
    let arguments = ["-displayfd", "1", "-screen", "0", "320x240x24", "-nolisten", "tcp"];
    let mut xvfb = Program::start(Command::new("Xvfb").args(arguments));
    let display = xvfb.wait_for(Stream::Out, |line| line.parse::<u32>().is_ok());
    let mut program = Command::new(env!("CARGO_BIN_EXE_winit_loop"));
    program.env("DISPLAY", format!(":{display}")).env_remove("WAYLAND_DISPLAY");
    Some((program, xvfb))
}
