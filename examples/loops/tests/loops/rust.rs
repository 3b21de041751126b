//! The loops in Rust.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use crate::{FEW, Told};

macro_rules! told_by {
    ($program:literal) => {
        told_by!($program, &[])
    };
    ($program:literal, $arguments:expr) => {{
        let arguments: &[&str] = $arguments;
        Told::by(Command::new(env!(concat!("CARGO_BIN_EXE_", $program))).args(arguments))
    }};
}

#[test]
fn a_runtime_is_one_key_beside_a_signal_timers_and_a_channel() {
    told_by!("selkie_select").did_all(1, FEW);
}

#[test]
fn a_runtime_runs_in_a_task_of_another_one() {
    told_by!("selkie_nested").did_all(1, FEW);
}

#[test]
fn a_runtime_is_a_source_of_calloop() {
    told_by!("calloop_source").did_all(1, FEW);
}

#[test]
fn a_calloop_loop_whose_clock_is_a_descriptor_runs_in_a_task() {
    let told = told_by!("calloop_awaited");
    assert!(told.number("the clock has called") >= 10);
    assert_eq!(told.number("the channel has called"), 10);
    assert_eq!(told.number("timers of a task beside it"), 5);
    let dispatched = told.number("dispatched");
    assert!(dispatched <= told.number("the clock has called") + 10 + FEW, "{dispatched} times");
    assert_eq!(told.number("threads"), 1);
}

#[test]
fn a_runtime_runs_in_smol_s_loop() {
    // The second one is smol's.
    told_by!("smol_loop").did_all(2, FEW);
}

/// One client of redis, served with the few commands that it sends.
fn redis(stream: TcpStream) -> Option<()> {
    let (mut input, mut output) = (BufReader::new(&stream).lines(), &stream);
    let mut kept = String::new();
    loop {
        // *3 $3 SET $4 seal $6 selkie: a count, and twice as many lines.
        let count: usize = input.next()?.ok()?.strip_prefix('*')?.parse().ok()?;
        let lines: Vec<_> = input.by_ref().take(2 * count).map_while(Result::ok).collect();
        let words: Vec<_> = lines.iter().skip(1).step_by(2).map(String::as_str).collect();
        let answer = match words[..] {
            ["SET", "seal", value] => {
                kept = value.to_owned();
                "+OK\r\n".to_owned()
            }
            ["GET", "seal"] => format!("${}\r\n{kept}\r\n", kept.len()),
            _ => "+OK\r\n".to_owned(),
        };
        output.write_all(answer.as_bytes()).ok()?;
    }
}

#[test]
fn a_runtime_runs_in_tokio_s_loop_with_redis_in_a_task() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    // Ends with the test.
    thread::spawn(move || {
        listener.incoming().map_while(Result::ok).for_each(|it| {
            redis(it);
        })
    });
    let told = told_by!("tokio_loop", &[&url]);
    told.did_all(1, FEW);
    assert!(told.0.contains(&"redis has kept: selkie".to_owned()), "{:#?}", told.0);
}

#[test]
fn a_game_gives_its_tasks_the_rest_of_each_frame() {
    let told = told_by!("game");
    // A turn in each frame, and one for the timer.
    told.did_all(1, 60 + 5);
    let one_turn = told.number("round trips in 60 frames, with one turn each");
    let the_rest = told.number("round trips in 60 frames, with the rest of each");
    assert!(the_rest > 20 * one_turn, "{the_rest}, and {one_turn} with one turn a frame");
}

#[test]
#[cfg(feature = "glib")]
fn a_runtime_is_a_source_of_glib() {
    told_by!("glib_source").did_all(1, FEW);
}

#[test]
#[cfg(feature = "glib")]
fn glib_s_context_runs_in_a_task() {
    let told = told_by!("glib_awaited");
    assert_eq!(told.number("GLib's timer has ticked"), 10);
    assert!(told.number("iterations in an idle second") <= FEW);
    assert_eq!(told.number("threads"), 1);
}

#[test]
#[cfg(feature = "winit")]
fn the_events_of_a_window_are_pumped_in_a_task() {
    let Some((mut program, _display)) = crate::window::program() else { return };
    let told = Told::by(&mut program);
    told.did_all(1, FEW);
    assert!(told.number("events of the window") > 0);
}
