//! The examples that end by themselves print what their headers say.

use super::process::{Ended, Program};

#[track_caller]
fn run(name: &str) -> Vec<String> {
    let Ended { status, out, err } = Program::example(name, &[]).end();
    assert!(status.success() && err.is_empty(), "{name}: {err:?}");
    out
}

#[test]
fn a_runtime_runs_inside_a_plain_poll_loop_on_one_thread() {
    let expected = [
        "loop: got b'tick 1'",
        "task: got b'tock'",
        "loop: got b'tick 2'",
        "task: got b'tock'",
        "loop: got b'tick 3'",
        "task: got b'tock'",
        "loop: the task has hung up",
        "threads: 1",
    ];
    assert_eq!(run("embed_poll"), expected);
}

#[test]
fn a_runtime_runs_inside_a_selector_beside_raw_keys_on_one_thread() {
    let expected = [
        "task: b'tick 1' came back",
        "task: b'tick 2' came back",
        "task: b'tick 3' came back",
        "loop: the task has hung up",
        "threads: 1",
    ];
    assert_eq!(run("embed_selector"), expected);
}

#[test]
fn a_task_awaits_a_selector_of_raw_keys() {
    let expected = [
        "key 1 is ready: b'message 1'",
        "key 2 is ready: b'message 2'",
        "key 3 is ready: b'message 3'",
        "all keys are done",
        "threads: 1",
    ];
    assert_eq!(run("await_selector"), expected);
}

#[test]
fn other_threads_wake_and_spawn_tasks_and_look_names_up() {
    let out = run("remote");
    let looked_up = out.iter().take_while(|line| line.starts_with("localhost is ")).count();
    assert!(looked_up > 0, "{out:?}");
    let expected = ["a task of another thread ran in the loop's thread", "its answer is 42"];
    assert_eq!(out[looked_up..], expected);
}

#[test]
fn a_silent_peer_is_given_up_and_an_interval_ticks() {
    let out = run("timeout");
    assert!(out[0].starts_with("no answer: the operation did not end before its deadline"));
    assert_eq!(out[1..], ["tick 1", "tick 2", "tick 3", "in time: b'at last'"]);
}

#[test]
fn a_watchdog_names_the_task_that_blocks_the_loop_while_it_does() {
    let out = run("watchdog");
    assert_eq!(out.len(), 1, "{out:?}");
    assert!(out[0].starts_with("task #1 of examples/watchdog.rs:"), "{out:?}");
    assert!(out[0].ends_with(" does not give the loop free"), "{out:?}");
}

#[test]
fn metrics_are_had_over_http_in_the_format_of_prometheus() {
    use std::io::{Read, Write};

    let mut program = Program::example("metrics", &["2"]);
    let line = program.wait_for_line("http://");
    let address = line.trim_start_matches("http://").trim_end_matches("/metrics");
    for _ in 0..2 {
        let mut client = std::net::TcpStream::connect(address).unwrap();
        client.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        let value = |name: &str| {
            let line = body.lines().find(|line| line.starts_with(name)).expect(name);
            line.split(' ').nth(1).unwrap().parse::<f64>().unwrap()
        };
        assert_eq!(value("selkie_tasks "), 0.0, "{body}");
        // Perhaps all went well in the first turn, which is not over.
        assert!(value("selkie_busy_seconds_total") >= 0.0, "{body}");
    }
    assert!(program.end().status.success());
}
