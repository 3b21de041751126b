//! An echo server and its clients in one process, on one thread, over real loopback TCP.
//!
//! `cargo run --release --example echo` prints the document's conversation, server on the left
//! and client on the right, and then how fast the server answers 50 clients at once.
//! With `SELKIE_BACKEND=poll`, or `select`, or `polling` before it, another back end does the work.

mod burst;
mod conversation;
mod load;
mod server;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use server::SelectServer;

/// An echo server without a loop of its own: whoever has it drives it, turn by turn.
trait Server {
    /// How its code is written: the first column of the figures.
    fn skin(&self) -> &'static str;

    /// What asks the system for readiness.
    fn backend(&self) -> &'static str;

    /// Where clients reach it.
    fn address(&self) -> SocketAddr;

    /// Waits at most `timeout` and serves who is ready; returns how many that were.
    fn turn(&mut self, timeout: Duration) -> io::Result<usize>;
}

/// What a server may want to tell while it serves.
enum Happened<'a> {
    Accepted(SocketAddr),
    Received(SocketAddr, &'a [u8]),
    Closed(SocketAddr),
}

fn run() -> io::Result<()> {
    let mut server = SelectServer::bind(conversation::print)?;
    println!("Server and client on one thread, over loopback TCP, back end {}\n", server.backend());
    conversation::run(&mut server)?;

    let mut server = SelectServer::bind(|_happened| ())?;
    println!("\n{}", burst::title());
    println!("{}", burst::run(&mut server)?);
    Ok(())
}

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    eprintln!("the echo ended early: {error}");
    eprintln!("it needs TCP on 127.0.0.1 and about 120 descriptors (see `ulimit -n`)");
    ExitCode::FAILURE
}
