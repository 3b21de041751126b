//! `websocket_echo`, with Python's `websockets`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::foreign::python;
use crate::process::{PATIENCE, Program, Stream};

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
fn a_client_that_goes_on_to_send_too_much_is_not_reset_before_it_has_its_goodbye() {
    too_much(env!("CARGO_BIN_EXE_websocket_echo").as_ref());
}

/// What becomes of a client that sends a message over the limit to its end.
pub fn too_much(program: &Path) {
    let mut server = Program::start(Command::new(program).arg("127.0.0.1:0"));
    let mut client = TcpStream::connect(server.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let upgrade = "GET / HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(upgrade.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));

    // A binary message of two mebibytes, masked by zeroes.
    let head = [&[0x82, 0xff][..], &(2_u64 << 20).to_be_bytes(), &[0; 4]].concat();
    client.write_all(&head).unwrap();
    // Too much: 1009, "too long".
    let mut goodbye = [0; 12];
    client.read_exact(&mut goodbye).unwrap();
    assert_eq!(&goodbye, b"\x88\x0a\x03\xf1too long");
    for _ in 0..32 {
        client.write_all(&[0; 64 * 1024]).unwrap();
    }
    assert_eq!(client.read(&mut goodbye).unwrap(), 0);
    drop(client);
    let told = server.wait_for(Stream::Err, |_| true);
    assert!(told.contains("Message too long: 2097152 > 1048576"), "{told}");
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
