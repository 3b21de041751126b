//! `tls_echo`: with `openssl s_client`, and with who speaks no TLS.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::foreign::tool;
use crate::process::{PATIENCE, Program, Stream};

struct Server {
    program: Program,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        Self::of(env!("CARGO_BIN_EXE_tls_echo").as_ref())
    }

    fn of(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.arg("127.0.0.1:0").arg(folder.path().join("certificate.pem"));
        let mut program = Program::start(&mut command);
        let address = program.address();
        Self { program, address, folder }
    }

    /// A client that trusts the server's certificate, and no other.
    fn s_client(&self, options: &[&str]) -> Option<Command> {
        let mut command = tool("openssl", "version")?;
        command
            .args(["s_client", "-connect", &self.address.to_string(), "-servername", "localhost"])
            .args(["-verify_hostname", "localhost", "-verify_return_error", "-quiet"])
            .args(["-no_ign_eof", "-CAfile"])
            .arg(self.folder.path().join("certificate.pem"))
            .args(options);
        Some(command)
    }
}

#[test]
fn openssl_gets_its_lines_back_from_the_tls_echo_in_either_version() {
    either_version(env!("CARGO_BIN_EXE_tls_echo").as_ref(), 1);
}

/// What `openssl s_client` gets from a server, which has so many threads.
pub fn either_version(program: &Path, threads: usize) {
    let mut server = Server::of(program);
    for version in ["-tls1_2", "-tls1_3"] {
        let Some(mut command) = server.s_client(&[version]) else { return };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client = command.spawn().unwrap();
        let mut input = client.stdin.take().unwrap();
        let mut output = BufReader::new(client.stdout.take().unwrap());
        let long = format!("{}\n", "x".repeat(100_000));
        for line in ["one\n", "two\n", &long] {
            input.write_all(line.as_bytes()).unwrap();
            let mut echo = String::new();
            output.read_line(&mut echo).unwrap();
            assert!(echo == line, "{version}: {} bytes came back", echo.len());
        }
        drop(input);
        assert!(client.wait().unwrap().success());
        let told = server.program.wait_for_line("127.0.0.1:");
        assert!(told.ends_with(": 100009 bytes"), "{told}");
    }
    assert_eq!(server.program.threads(), threads);
}

#[test]
fn a_client_that_trusts_another_authority_is_told_of_and_disturbs_no_other() {
    let mut server = Server::start();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = server.folder.path().join("other.pem");
    fs::write(&path, other.cert.pem()).unwrap();
    let Some(mut command) = server.s_client(&["-CAfile", path.to_str().unwrap()]) else { return };
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(!status.unwrap().success());
    server.program.wait_for(Stream::Err, |line| line.contains("alert"));
    let Some(mut command) = server.s_client(&[]) else { return };
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_tls_client_that_speaks_plain_text_is_told_of_and_closed() {
    let mut server = Server::start();
    let mut client = TcpStream::connect(server.address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    // An alert, in place of an answer, and then the end.
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.first(), Some(&21), "{answer:?}");
    let told = server.program.wait_for(Stream::Err, |_| true);
    assert!(told.contains("received corrupt message of type InvalidContentType"), "{told}");
    assert!(told.contains("(InvalidData)"), "{told}");
    server.program.signal(Signal::TERM);
    assert!(server.program.end().status.success());
}
