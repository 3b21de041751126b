//! `cores`: every runtime gets connections, by the system or by hand.

use std::process::Command;

use rustix::process::Signal;

use crate::foreign::{content, python};
use crate::process::Program;

/// What each of two runtimes had of 64 connections.
fn two_cores(way: &str) -> Option<[u32; 2]> {
    let mut script = python("cores.py", "socket")?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_cores"));
    let mut server = Program::start(command.args(["127.0.0.1:0", way, "2"]));
    let address = server.address();
    content(script.args([address.ip().to_string(), address.port().to_string()]));
    assert_eq!(server.threads(), 2);
    server.signal(Signal::TERM);
    let ended = server.end();
    assert!(ended.status.success(), "{:?}", ended.err);
    let had = |number: usize| -> u32 {
        let line = &ended.out[ended.out.len() - 2 + number];
        let rest = line.strip_prefix(&format!("core {number} had ")).unwrap();
        rest.strip_suffix(" connections").unwrap().parse().unwrap()
    };
    Some([had(0), had(1)])
}

#[test]
fn sockets_that_are_handed_over_go_to_each_runtime_in_turn() {
    let Some(had) = two_cores("hand") else { return };
    assert_eq!(had, [32, 32]);
}

#[test]
fn listeners_that_share_a_port_get_connections_of_each_other() {
    let Some([first, second]) = two_cores("share") else { return };
    // By a hash of the addresses: all of 64 on one side is one in 2^63.
    assert_eq!(first + second, 64);
    assert!(first > 0 && second > 0, "{first} and {second}");
}

#[test]
fn another_way_than_the_two_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cores"));
    let ended = Program::start(command.args(["127.0.0.1:0", "both"])).end();
    assert!(!ended.status.success());
    assert_eq!(ended.err[0], "\"both\" is neither share nor hand");
}
