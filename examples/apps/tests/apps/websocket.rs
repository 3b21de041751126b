//! `websocket_echo`, with Python's `websockets`.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::foreign::python;
use crate::process::{Program, Stream};

#[test]
fn pythons_websockets_get_their_messages_back_and_a_goodbye() {
    messages(env!("CARGO_BIN_EXE_websocket_echo").as_ref(), 1);
}

/// What Python's `websockets` get from a server, which has so many threads.
pub fn messages(program: &Path, threads: usize) {
    let Some(mut script) = python("websocket.py", "websockets") else { return };
    let mut command = Command::new(program);
    let mut server = Program::start(command.arg("127.0.0.1:0"));
    let address = server.address();
    let mut client = Program::start(script.arg(format!("ws://{address}")));

    // A message over the limit.
    let told = server.wait_for(Stream::Err, |_| true);
    assert!(told.contains("Message too long: 1048577 > 1048576"), "{told}");

    // The client still has a connection when the server ends.
    client.wait_for_line("waiting");
    assert_eq!(server.threads(), threads);
    server.signal(Signal::TERM);
    let ended = client.end();
    assert!(ended.status.success(), "{:#?}", ended.err);
    assert_eq!(ended.out.last().unwrap(), "closed with 1001: shutting down");
    let ended = server.end();
    assert!(ended.status.success(), "{:#?}", ended.err);
    assert_eq!(ended.out.last().unwrap(), "1 said goodbye, 0 were cut");
}

#[test]
fn a_client_that_asks_for_no_upgrade_is_told_of() {
    let Some(mut curl) = crate::foreign::tool("curl", "--version") else { return };
    let mut command = Command::new(env!("CARGO_BIN_EXE_websocket_echo"));
    let mut server = Program::start(command.arg("127.0.0.1:0"));
    let address = server.address();
    let ended = Program::start(curl.args(["-sS", &format!("http://{address}/")])).end();
    assert!(!ended.status.success());
    let told = server.wait_for(Stream::Err, |_| true);
    assert!(told.contains("upgrade"), "{told}");
}
