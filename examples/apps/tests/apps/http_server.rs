//! `http_server`, with curl, wrk, Python and strace.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::foreign::{content, output, python, tool};
use crate::process::Program;

fn server() -> (Program, SocketAddr) {
    start(env!("CARGO_BIN_EXE_http_server").as_ref())
}

fn start(program: &Path) -> (Program, SocketAddr) {
    let mut server = Program::start(Command::new(program).arg("127.0.0.1:0"));
    let address = server.address();
    (server, address)
}

#[test]
fn curl_gets_its_answers_by_either_version_of_http() {
    answers(env!("CARGO_BIN_EXE_http_server").as_ref(), 1);
}

/// What curl gets from a server, which has so many threads.
pub fn answers(program: &Path, threads: usize) {
    let Some(_) = tool("curl", "--version") else { return };
    let (server, address) = start(program);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    fs::write(&file, &body).unwrap();
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let curl = |arguments: &[&str], path: &str| {
            let mut command = Command::new("curl");
            command.args(["--silent", "--show-error", version]).args(arguments);
            output(command.arg(format!("http://{address}{path}")))
        };
        assert!(curl(&[], "/").starts_with(b"request "));
        let upload = format!("@{}", file.display());
        assert!(curl(&["--data-binary", &upload], "/echo") == body, "{version}");
        let status = curl(&["--write-out", "%{http_code} %{http_version}"], "/nowhere");
        let status = String::from_utf8(status).unwrap();
        assert!(status.starts_with("there is no such page\n404 "), "{status}");
        assert!(status.ends_with(if version == "--http1.1" { " 1.1" } else { " 2" }), "{status}");
    }
    assert_eq!(server.threads(), threads);
}

#[test]
fn wrk_finds_no_error_in_many_connections() {
    // It has no option for its version alone, and says so with an error.
    let Ok(_) = Command::new("wrk").arg("--version").output() else {
        return crate::foreign::skip("wrk");
    };
    let (server, address) = server();
    let mut wrk = Command::new("wrk");
    let out = content(wrk.args(["-t1", "-c64", "-d1s", &format!("http://{address}/")]));
    let requests = out.iter().find_map(|line| line.trim().split_once(" requests in ")).unwrap().0;
    assert!(requests.parse::<u32>().unwrap() > 100, "{out:#?}");
    assert!(
        !out.iter().any(|line| line.contains("Non-2xx") || line.contains("errors")),
        "{out:#?}"
    );
    assert_eq!(server.threads(), 1);
}

#[test]
fn ctrl_c_finishes_what_is_under_way_and_lets_nobody_else_in() {
    ends_gracefully(env!("CARGO_BIN_EXE_http_server").as_ref());
}

/// How a server ends on Ctrl-C while a request is under way.
pub fn ends_gracefully(program: &Path) {
    let Some(mut slow) = tool("curl", "--version") else { return };
    let Some(mut idle) = python("http_idle.py", "http.client") else { return };
    let (server, address) = start(program);
    let mut idle =
        Program::start(idle.args([address.ip().to_string(), address.port().to_string()]));
    idle.wait_for_line("request 1");
    slow.args(["--silent", "--show-error", &format!("http://{address}/slow")]);
    let slow = thread::spawn(move || output(&mut slow));
    // A request that is not ours: the slow one is there.
    let mut last = 1;
    let patience = Instant::now() + Duration::from_secs(20);
    while Instant::now() < patience {
        let mut look = Command::new("curl");
        let said = output(look.args(["--silent", &format!("http://{address}/")]));
        let count = String::from_utf8(said).unwrap();
        let count: u32 = count.trim().strip_prefix("request ").unwrap().parse().unwrap();
        if count == last + 2 {
            break;
        }
        last = count;
    }
    server.signal(Signal::INT);
    let before = Instant::now();
    let ended = server.end();
    assert!(before.elapsed() < Duration::from_secs(5), "it waits for what is under way only");
    assert!(ended.status.success(), "{:?}", ended.err);
    assert_eq!(slow.join().unwrap(), b"here it is\n");
    assert!(
        ended.out.last().unwrap().ends_with(" ended by themselves, 0 were cut"),
        "{:?}",
        ended.out
    );
    assert!(idle.end().status.success());
    let refused = Command::new("curl").args(["--silent", &format!("http://{address}/")]).status();
    assert_eq!(refused.unwrap().code(), Some(7), "there is nobody");
}

#[test]
fn what_takes_longer_than_the_grace_is_cut() {
    let (mut server, address) = server();
    let mut client = TcpStream::connect(address).unwrap();
    let head = b"POST /echo HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\nthe";
    client.write_all(head).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut begin = [0; 15];
    client.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200 OK");
    server.signal(Signal::INT);
    // The rest never comes.
    server.wait_for_line("shutting down, 1 connections are open");
    let before = Instant::now();
    let ended = server.end();
    assert!(ended.status.success());
    assert_eq!(ended.out.last().unwrap(), "0 ended by themselves, 1 were cut");
    assert!(before.elapsed() > Duration::from_secs(4), "it had some time");
}

#[test]
fn a_second_ctrl_c_ends_the_server_at_once() {
    use std::os::unix::process::ExitStatusExt;

    let (mut server, address) = server();
    let mut client = TcpStream::connect(address).unwrap();
    client
        .write_all(b"POST /echo HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\nthe")
        .unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    client.read_exact(&mut [0; 15]).unwrap();
    server.signal(Signal::INT);
    server.wait_for_line("shutting down, 1 connections are open");
    server.signal(Signal::INT);
    let ended = server.end();
    assert_eq!(ended.status.signal(), Some(Signal::INT.as_raw()), "{:?}", ended.out);
}

#[test]
fn a_request_costs_one_recv_and_none_that_only_learns_that_there_is_nothing() {
    let Some(mut strace) = tool("strace", "--version") else { return };
    let Some(mut client) = python("http_keep_alive.py", "http.client") else { return };
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    // By a process beside it, so that signals go to the server itself.
    strace.args(["-D", "-f", "-e", "trace=recvfrom,recvmsg,read,readv", "-o"]).arg(&trace);
    strace.args([env!("CARGO_BIN_EXE_http_server"), "127.0.0.1:0"]);
    let mut server = Program::start(&mut strace);
    let address = server.address();
    content(client.args([address.ip().to_string(), address.port().to_string(), "100".to_owned()]));
    server.signal(Signal::TERM);
    server.end();
    let trace = fs::read_to_string(trace).unwrap();
    let receives: Vec<_> = trace.lines().filter(|line| line.contains(" recv")).collect();
    let got = receives.iter().filter(|line| line.contains("HTTP/1.1")).count();
    assert_eq!(got, 200, "{receives:#?}");
    let in_vain = receives.iter().filter(|line| line.contains("EAGAIN")).count();
    // The first one of a connection may come before the client has sent anything.
    assert!(in_vain <= 1, "{in_vain} of {}: {receives:#?}", receives.len());
}

#[test]
fn an_address_without_a_port_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_http_server"));
    let ended = Program::start(command.arg("127.0.0.1")).end();
    assert!(!ended.status.success());
    let [error, usage] = &ended.err[..] else { panic!("{:?}", ended.err) };
    assert!(error.starts_with("\"127.0.0.1\" is no address with a port"), "{error}");
    assert_eq!(usage, "usage: http_server [ADDR]");
}
