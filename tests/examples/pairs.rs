//! The async programs talk with the document's, in both languages and in both directions.

use super::process::{Ended, Program};

const ALL_MESSAGES: &str = "This is the message. It will be repeated.";

fn assert_repeated(who: &str, ended: &Ended) {
    assert!(ended.status.success() && ended.err.is_empty(), "{who}: {:?}", ended.err);
    let quoted =
        |line: &String| Some(line.strip_prefix("  received b'")?.strip_suffix('\'')?.to_owned());
    let received: String = ended.out.iter().filter_map(quoted).collect();
    assert_eq!(received, ALL_MESSAGES, "{who}");
    assert_eq!(ended.out.last().unwrap(), "shutting down", "{who}");
}

/// Starts every client there is at once, and has all of them served.
pub fn assert_serves_every_client(server: &str, port: &str) {
    let clients = [
        ("echo_client", Some(Program::example("echo_client", &[server]))),
        ("select_echo_client", Some(Program::example("select_echo_client", &[server]))),
        ("echo_client.py", Program::python("echo_client.py", &[port])),
    ];
    for (name, client) in clients {
        if let Some(client) = client {
            assert_repeated(name, &client.end());
        }
    }
}

#[test]
fn the_async_server_serves_clients_of_every_kind_one_after_the_other() {
    let mut server = Program::example("echo_server", &["127.0.0.1:0"]);
    let address = server.address();
    for _ in 0..3 {
        assert_serves_every_client(&address.to_string(), &address.port().to_string());
    }
    assert_eq!(server.threads(), 1);
}

#[test]
fn the_async_client_talks_with_servers_of_every_kind() {
    let servers = [
        ("echo_server", Some(Program::example("echo_server", &["127.0.0.1:0"]))),
        ("select_echo_server", Some(Program::example("select_echo_server", &["127.0.0.1:0"]))),
        ("echo_server.py", Program::python("echo_server.py", &["0"])),
    ];
    for (name, server) in servers {
        let Some(mut server) = server else { continue };
        let address = server.address().to_string();
        let client = Program::example("echo_client", &[&address]).end();
        assert_repeated(name, &client);
        let beginning = format!("connecting to 127.0.0.1 port {}", server_port(&address));
        assert_eq!(client.out[0], beginning, "{name}");
        if name != "echo_server" {
            assert!(server.end().status.success(), "{name}");
        }
    }
}

fn server_port(address: &str) -> &str {
    address.rsplit_once(':').unwrap().1
}

#[test]
fn the_async_client_sends_a_megabyte_and_has_it_back() {
    let mut server = Program::example("echo_server", &["127.0.0.1:0"]);
    let address = server.address().to_string();
    // A process takes no more: 128 KiB an argument, and 2 MiB in all.
    let messages: Vec<_> = ('a'..='m').map(|letter| letter.to_string().repeat(100_000)).collect();
    let arguments: Vec<_> = std::iter::once(&address).chain(&messages).map(|s| &**s).collect();
    let client = Program::example("echo_client", &arguments).end();
    assert!(client.status.success(), "{:?}", client.err);
    assert_eq!(client.out.last().unwrap(), "shutting down");
}
