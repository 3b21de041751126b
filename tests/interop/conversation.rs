//! The document's conversation, in every pairing of the languages.

use std::collections::BTreeSet;

use super::process::{Ended, Program};

const ALL_MESSAGES: &str = "This is the message. It will be repeated.";

/// A program of the document in one of the languages, with ADDR or PORT as its argument.
type Start = fn(&str) -> Option<Program>;

fn rust_server(_port: &str) -> Option<Program> {
    Some(Program::example("select_echo_server", &["127.0.0.1:0"]))
}

fn rust_client(port: &str) -> Option<Program> {
    Some(Program::example("select_echo_client", &[&format!("127.0.0.1:{port}")]))
}

fn python_server(_port: &str) -> Option<Program> {
    Program::python("echo_server.py", &["0"])
}

fn python_client(port: &str) -> Option<Program> {
    Program::python("echo_client.py", &[port])
}

/// Runs both to their end, and checks what every conversation has in common.
fn converse(server: Start, client: Start) -> Option<[Ended; 2]> {
    let mut server = server("0")?;
    let port = server.address().port();
    let client = client(&port.to_string())?.end();
    let server = server.end();
    for (ended, name) in [(&client, "client"), (&server, "server")] {
        assert!(ended.status.success() && ended.err.is_empty(), "{name}: {:?}", ended.err);
        assert_eq!(ended.out.last().unwrap(), "shutting down", "{name}");
        assert_eq!(quoted(&ended.out, "  received b'"), ALL_MESSAGES, "{name}");
    }
    assert_eq!(quoted(&client.out, "  sending b'"), ALL_MESSAGES);
    assert_eq!(client.out[0], format!("connecting to 127.0.0.1 port {port}"));
    Some([server, client])
}

/// What stands between `beginning` and the closing quote, of all lines that begin so.
fn quoted(lines: &[String], beginning: &str) -> String {
    lines.iter().filter_map(|line| line.strip_prefix(beginning)?.strip_suffix('\'')).collect()
}

/// The lines without what may differ from run to run: ports, and how TCP cuts the bytes.
fn kinds_of_lines(ended: &Ended) -> BTreeSet<String> {
    let without_ports = |line: &String| match line.split_once(" b'") {
        Some((verb, _bytes)) => verb.to_owned(),
        None => line.replace("127.0.0.1", "IP").replace(|c: char| c.is_ascii_digit(), ""),
    };
    ended.out.iter().map(without_ports).collect()
}

#[test]
fn a_python_client_talks_with_the_rust_server() {
    converse(rust_server, python_client);
}

#[test]
fn the_rust_client_talks_with_a_python_server() {
    converse(python_server, rust_client);
}

#[test]
fn the_rust_client_talks_with_the_rust_server() {
    converse(rust_server, rust_client);
}

#[test]
fn the_rust_programs_print_the_lines_of_the_document() {
    let rust = converse(rust_server, rust_client).map(|pair| pair.each_ref().map(kinds_of_lines));
    let Some(python) = converse(python_server, python_client) else { return };
    let python = python.each_ref().map(kinds_of_lines);
    assert_eq!(python.each_ref().map(BTreeSet::len), [7, 9], "{python:?}");
    assert_eq!(rust.unwrap(), python);
}
