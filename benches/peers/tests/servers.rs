//! Every server that is part of this program echoes every byte, also when the other side has
//! more under way than the sockets hold, so that writes are partial.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A server that is ended by its id.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets `name` echo; the error is what the load generator has to complain of. `Ok(None)` if the
/// server does not run here.
fn load(name: &str, load: &[&str]) -> Result<Option<()>, String> {
    let program = env!("CARGO_BIN_EXE_peers");
    let serve = ["serve", name, "--buffer", "16384", "--tools", "."];
    let server = Command::new(program)
        .args(serve)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut server = Server(server);
    let mut line = String::new();
    let stdout = server.0.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("a pipe");
    let Some((port, pid)) = line.trim().split_once(' ') else { return Ok(None) };
    let at = ["--port", port, "--pid", pid];
    let run = Command::new(program).arg("load").args(load).args(at).output().expect("it starts");
    if run.status.success() {
        return Ok(Some(()));
    }
    Err(format!("{name}: {}", String::from_utf8_lossy(&run.stderr)))
}

/// The loads of a server: what is more than the sockets hold, and what comes and goes.
fn check(name: &str) -> Option<()> {
    let large = ["--connections", "3", "--bytes", "16384", "--outstanding", "512"];
    let echo = [["echo"].as_slice(), &large, &["--count", "3000"]].concat();
    let churn = ["churn", "--connections", "20", "--count", "200"];
    let paced = ["echo", "--connections", "2", "--count", "10", "--paced"];
    for arguments in [echo.as_slice(), &churn, &paced] {
        load(name, arguments).unwrap_or_else(|complaint| panic!("{complaint}"))?;
    }
    Some(())
}

#[test]
fn every_loop_echoes_every_byte() {
    let loops = ["raw-epoll-edge", "raw-epoll-level", "mio", "polling", "calloop"];
    let own = ["selkie-select", "selkie-select-epoll"];
    for name in loops.into_iter().chain(own) {
        check(name).unwrap_or_else(|| panic!("{name} does not start"));
    }
}

#[test]
fn every_runtime_echoes_every_byte() {
    for name in ["tokio", "smol", "async-io-local", "monoio-epoll"] {
        check(name).unwrap_or_else(|| panic!("{name} does not start"));
    }
    for name in ["monoio-uring", "compio-uring"] {
        if check(name).is_none() {
            eprintln!("{name} does not run here");
        }
    }
}

#[test]
fn every_http_server_answers_with_the_same_words() {
    for name in ["tokio, current thread", "selkie", "smol"] {
        let server = Command::new(env!("CARGO_BIN_EXE_peers"))
            .args(["serve-http", name])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut server = Server(server);
        let mut line = String::new();
        let stdout = server.0.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a pipe");
        let (port, _pid) = line.trim().split_once(' ').expect("a port and a process id");
        let mut client = TcpStream::connect(format!("127.0.0.1:{port}")).expect("a listener");
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("a connection");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{name}: {answer}");
        assert!(answer.ends_with("\r\n\r\nhello, this is request 1\n"), "{name}: {answer}");
    }
}
