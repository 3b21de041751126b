//! Clients that vanish, descriptors that run out, and addresses that are no good.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::client::{assert_echoes, connect, reset};
use super::process::{PATIENCE, Program, Stream, example_path};

#[test]
fn with_keep_running_the_server_outlives_its_clients() {
    let mut server = Program::example("select_echo_server", &["--keep-running", "127.0.0.1:0"]);
    let address = server.address();
    for number in 0..5 {
        let client = connect(address);
        assert_echoes(&client, format!("client {number}").as_bytes());
        drop(client);
        server.wait_for_line("  closing");
    }
}

#[test]
fn a_reset_by_one_client_leaves_the_others_alone() {
    let mut server = Program::example("select_echo_server", &["--keep-running", "127.0.0.1:0"]);
    let address = server.address();
    let [lost, other] = [connect(address), connect(address)];
    assert_echoes(&lost, b"before the reset");
    let name = format!("('127.0.0.1', {})", lost.local_addr().unwrap().port());
    reset(lost);
    let told = server.wait_for(Stream::Err, |_| true);
    assert!(told.contains(&name) && told.contains("reset"), "{told}");
    server.wait_for_line("  closing");
    assert_echoes(&other, b"after the reset");
    assert_echoes(&connect(address), b"a new client");
}

#[test]
fn the_server_ends_with_its_only_client_even_by_a_reset() {
    let mut server = Program::example("select_echo_server", &["127.0.0.1:0"]);
    let client = connect(server.address());
    assert_echoes(&client, b"before the reset");
    reset(client);
    assert_eq!(server.end().out.last().unwrap(), "shutting down");
}

#[test]
fn a_server_out_of_descriptors_does_not_spin_and_recovers() {
    let limited = r#"ulimit -n 12; exec "$0" "$@""#;
    let mut server = Program::start(
        Command::new("sh")
            .args(["-c", limited])
            .arg(example_path("select_echo_server"))
            .args(["127.0.0.1:0", "--keep-running"]),
    );
    let address = server.address();
    // More than it can have, but the kernel connects them all.
    let mut clients: Vec<_> = (0..12).map(|_| connect(address)).collect();
    let cannot_accept = |line: &str| line.starts_with("cannot accept: Too many open files");
    server.wait_for(Stream::Err, cannot_accept);
    let start = Instant::now();
    assert_echoes(&clients[0], b"those who are in are served");
    server.wait_for(Stream::Err, cannot_accept);
    server.wait_for(Stream::Err, cannot_accept);
    // It tries again once a second; a loop that spins would be through in no time.
    assert!(start.elapsed() > Duration::from_millis(1900), "{:?}", start.elapsed());

    let last = clients.pop().unwrap();
    drop(clients);
    assert_echoes(&last, b"those who waited come in");
}

#[test]
fn a_server_that_hangs_up_early_is_an_error_of_the_client() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Program::example("select_echo_client", &[&address]);
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut messages = [0; 41];
    server.read_exact(&mut messages).unwrap();
    server.write_all(&messages[..40]).unwrap();
    drop(server);
    let client = client.end();
    assert!(!client.status.success());
    assert!(client.err.concat().contains(&address), "{:?}", client.err);
    assert_ne!(client.out.last().unwrap(), "shutting down");
}

/// The examples of a server and its client, in both skins.
const PAIRS: [(&str, &str); 2] =
    [("select_echo_server", "select_echo_client"), ("echo_server", "echo_client")];

/// Starts an example, which must fail and name each of `facts` in its errors.
fn assert_fails(name: &str, arguments: &[&str], facts: &[&str]) {
    let ended = Program::example(name, arguments).end();
    assert!(!ended.status.success(), "{name} {arguments:?} succeeded");
    let told = ended.err.join("\n");
    for fact in facts {
        assert!(told.contains(fact), "{name} {arguments:?} does not tell {fact:?}: {told}");
    }
}

#[test]
fn an_address_in_use_or_malformed_is_told_with_a_remedy() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for (server, client) in PAIRS {
        assert_fails(server, &[&taken], &[&taken, "in use", "port 0"]);
        assert_fails(server, &["nowhere"], &["nowhere", "invalid socket address", "usage:"]);
        assert_fails(client, &["nowhere"], &["nowhere", "invalid socket address", server]);
    }
}

#[test]
fn a_client_without_a_server_tells_what_to_start() {
    // Bound, so that nobody else takes the port, but not listening.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let free = socket.local_addr().unwrap().as_socket().unwrap().to_string();
    for (server, client) in PAIRS {
        assert_fails(client, &[&free], &[&free, "refused", &format!("`{server} ")]);
    }
}

#[test]
fn an_unknown_back_end_is_told_with_the_known_ones() {
    for name in PAIRS.into_iter().flat_map(<[_; 2]>::from).chain(["echo"]) {
        let ended =
            Program::start(Command::new(example_path(name)).env("SELKIE_BACKEND", "kquue")).end();
        assert!(!ended.status.success(), "{name}");
        let told = ended.err.join("\n");
        assert!(told.contains("SELKIE_BACKEND") && told.contains("select"), "{name}: {told}");
    }
}
