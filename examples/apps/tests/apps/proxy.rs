//! `proxy`: bytes go both ways, half-closed connections stay so, and each is told of.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::foreign::{content, python};
use crate::process::{Program, Stream};

fn proxy(target: &str) -> Program {
    Program::start(Command::new(env!("CARGO_BIN_EXE_proxy")).args(["127.0.0.1:0", target]))
}

#[test]
fn the_proxy_keeps_half_closed_connections_and_counts_bytes() {
    half_closed(env!("CARGO_BIN_EXE_proxy").as_ref(), 1);
}

/// What a proxy does with a connection that is half closed, in so many threads.
pub fn half_closed(program: &Path, threads: usize) {
    let Some(mut server) = python("proxy_server.py", "socket") else { return };
    let Some(mut client) = python("proxy_client.py", "socket") else { return };
    let mut server = Program::start(&mut server);
    let target = server.wait_for_line("127.0.0.1:");
    let mut proxy = Program::start(Command::new(program).args(["127.0.0.1:0", &target]));
    let address = proxy.address();
    content(client.args([address.ip().to_string(), address.port().to_string()]));
    let told = proxy.wait_for_line("127.0.0.1:");
    assert!(told.contains(": 3000000 bytes there, 4000000 bytes back, "), "{told}");
    assert_eq!(proxy.threads(), threads);
    proxy.signal(Signal::INT);
    let ended = proxy.end();
    assert!(ended.status.success(), "{:?}", ended.err);
    assert_eq!(ended.out.last().unwrap(), "0 ended by themselves, 0 were cut");
}

#[test]
fn a_target_that_refuses_is_told_and_the_client_is_closed() {
    let Some(mut client) = python("proxy_refused.py", "socket") else { return };
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut proxy = proxy(&nobody.to_string());
    let address = proxy.address();
    content(client.args([address.ip().to_string(), address.port().to_string()]));
    proxy.wait_for(Stream::Err, |line| line.to_lowercase().contains("refused"));
}

#[test]
fn an_address_without_a_port_is_refused_with_the_usage() {
    for arguments in [&["127.0.0.1", "127.0.0.1:80"][..], &["127.0.0.1:9998"]] {
        let ended = Program::start(Command::new(env!("CARGO_BIN_EXE_proxy")).args(arguments)).end();
        assert!(!ended.status.success());
        let [error, usage] = &ended.err[..] else { panic!("{:?}", ended.err) };
        let expected = ["\"127.0.0.1\" is no address with a port", "two addresses are needed"];
        assert!(expected.iter().any(|expected| error.starts_with(expected)), "{error}");
        assert_eq!(usage, "usage: proxy LISTEN TARGET");
    }
}
