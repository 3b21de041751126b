//! An echo server and its clients in one process, on one thread, over real loopback TCP.
//!
//! `cargo run --release --example echo` prints the document's conversation, a server of async
//! tasks on the left and a client that is an explicit loop on the right, and then how fast either
//! skin answers 50 clients at once, side by side, after 5 seconds.
//! With `SELKIE_BACKEND=poll`, or `select`, or `polling` before it, another back end does the work.

mod burst;
mod conversation;
mod explicit;
mod figures;
mod load;
mod progress;
mod tasks;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use explicit::SelectServer;
use selkie::selector::BackendKind;
use tasks::TaskServer;

/// An echo server without a loop of its own: whoever has it drives it, turn by turn.
trait Server {
    /// Where clients reach it.
    fn address(&self) -> SocketAddr;

    /// Waits at most `timeout` and serves who is ready; returns 0 if nobody was.
    fn turn(&mut self, timeout: Duration) -> io::Result<usize>;
}

fn run() -> io::Result<()> {
    let mut tasks = TaskServer::bind(conversation::print)?;
    conversation::run(&mut tasks)?;

    let mut explicit = SelectServer::bind(4096)?;
    let mut tasks = TaskServer::bind(|_happened| ())?;
    println!("\n{}, back end {}:", burst::title(), BackendKind::from_env()?);
    print!("{}", burst::run(&mut explicit, &mut tasks)?);
    Ok(())
}

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    eprintln!("the echo ended early: {error}");
    eprintln!("it needs TCP on 127.0.0.1 and about 230 descriptors (see `ulimit -n`)");
    ExitCode::FAILURE
}
