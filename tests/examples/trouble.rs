//! What ends one connection of the async server leaves the others alone.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use futures::AsyncWriteExt;
use rustix::process::Signal;
use selkie::{Async, timeout};

use super::client::{assert_echoes, connect, reset};
use super::process::{PATIENCE, Program, Stream, example_path};

#[test]
fn a_reset_by_one_client_is_told_and_leaves_the_others_alone() {
    let mut server = Program::example("echo_server", &["127.0.0.1:0"]);
    let address = server.address();
    let [lost, other] = [connect(address), connect(address)];
    assert_echoes(&lost, b"before the reset");
    let name = lost.local_addr().unwrap().to_string();
    reset(lost);
    let told = server.wait_for(Stream::Err, |_| true);
    assert!(told.contains(&name) && told.contains("reset"), "{told}");
    assert_echoes(&other, b"after the reset");
    assert_echoes(&connect(address), b"a new client");
}

#[test]
fn ctrl_c_and_sigterm_end_the_server_cleanly() {
    for (signal, name) in [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM")] {
        let mut server = Program::example("echo_server", &["127.0.0.1:0"]);
        let address = server.address();
        let client = connect(address);
        assert_echoes(&client, b"before the signal");
        server.signal(signal);
        let server = server.end();
        assert!(server.status.success(), "{}", server.status);
        assert_eq!(server.out.last().unwrap(), &format!("{name}: shutting down"));
        assert_eq!(server.err, [""; 0]);
        assert_eq!((&client).read(&mut [0; 1]).unwrap(), 0, "the connection is closed");
    }
}

#[test]
fn a_server_out_of_descriptors_rests_serves_who_is_in_and_recovers() {
    let limited = r#"ulimit -n 12; exec "$0" "$@""#;
    let mut server = Program::start(
        Command::new("sh")
            .args(["-c", limited])
            .arg(example_path("echo_server"))
            .arg("127.0.0.1:0"),
    );
    let address = server.address();
    // More than it can have, but the kernel connects them all.
    let mut clients: Vec<_> = (0..12).map(|_| connect(address)).collect();
    server.wait_for(Stream::Err, |line| line.starts_with("cannot accept: Too many open files"));
    assert_echoes(&clients[0], b"those who are in are served");

    // One that waits at the door is not answered, and meanwhile the server does next to nothing:
    // a loop that spins would use up as much of that second as it gets.
    let last = clients.pop().unwrap();
    let before = server.cpu_time();
    last.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    (&last).write_all(b"those who waited come in").unwrap();
    assert!((&last).read(&mut [0; 1]).is_err(), "it has room for one more after all");
    let used = server.cpu_time() - before;
    assert!(used <= Duration::from_millis(100), "{used:?} of a second");

    assert_echoes(&clients[0], b"those who are in are still served");
    drop(clients);
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut echo = [0; 24];
    (&last).read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"those who waited come in");
    assert_echoes(&connect(address), b"as do new ones");
}

#[test]
fn a_client_that_does_not_read_holds_up_no_other_and_is_read_no_further() {
    /// Much more than both sockets' buffers hold. Bytes.
    const TOO_MUCH: usize = 256 * 1024 * 1024;

    let mut server = Program::example("echo_server", &["127.0.0.1:0"]);
    let address = server.address();
    selkie::block_on(async {
        let mut stuck = Async::<TcpStream>::connect(address).await.unwrap();
        let (start, mut sent) = (Instant::now(), 0);
        // Until nothing has been taken for a while.
        while let Ok(count) = timeout(Duration::from_millis(300), stuck.write(&[7; 65536])).await {
            sent += count.unwrap();
            assert!(sent < TOO_MUCH && start.elapsed() < PATIENCE, "{sent} bytes were taken");
        }
        assert_echoes(&connect(address), b"another client");
    });
    // The one that never read is gone: that is no trouble either.
    assert_echoes(&connect(address), b"a third client");
}

#[test]
fn a_server_that_hangs_up_early_is_an_error_of_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Program::example("echo_client", &[&address]);
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut messages = [0; 41];
    server.read_exact(&mut messages).unwrap();
    server.write_all(&messages[..40]).unwrap();
    drop(server);
    let client = client.end();
    assert!(!client.status.success());
    let told = client.err.concat();
    assert!(told.contains(&address) && told.contains("sent 41 bytes; 40 came back"), "{told}");
    assert_ne!(client.out.last().unwrap(), "shutting down");
}
