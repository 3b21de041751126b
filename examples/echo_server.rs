//! The echo server as async tasks: one for each connection, all on one thread.
//!
//! Run it with `cargo run --example echo_server -- [ADDR]`, where ADDR is 127.0.0.1:9999 if not
//! given, and `cargo run --example echo_client` in another terminal. It prints
//! `starting up on 127.0.0.1 port 9999` and serves until Ctrl-C or SIGTERM comes, when it prints
//! `SIGINT: shutting down` and closes all connections; what ends one of them early, or keeps it
//! from being accepted, is told on standard error and leaves the others alone.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;

use futures::StreamExt;
use selkie::Async;
use selkie::signal::{SIGINT, SIGTERM, Signals};

async fn serve(address: SocketAddr) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listener = Async::<TcpListener>::bind(address)?;
    let address = listener.get_ref().local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    // When descriptors run out, it yields that error once, and rests until there are some again.
    let mut incoming = listener.incoming().take_until(signals.next());
    while let Some(accepted) = incoming.next().await {
        match accepted {
            Ok((stream, peer)) => selkie::spawn(converse(stream, peer)).detach(),
            Err(error) => eprintln!("cannot accept: {error} (see `ulimit -n`)"),
        }
    }
    if let Some(Some(signal)) = incoming.take_result() {
        println!("{}: shutting down", signal?);
    }
    Ok(())
}

async fn converse(stream: Async<TcpStream>, peer: SocketAddr) {
    if let Err(error) = echo(&stream).await {
        eprintln!("client {peer}: {error}; it may connect again");
    }
}

/// Until the client has sent its last byte, and taken it back; then dropping the stream closes it.
async fn echo(mut stream: &Async<TcpStream>) -> io::Result<u64> {
    stream.set_nodelay(true)?;
    futures::io::copy(stream, &mut stream).await
}

fn run(address: &str) -> io::Result<()> {
    let address = address.parse().map_err(io::Error::other)?;
    selkie::block_on(serve(address))
}

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9999".to_owned());
    let Err(error) = run(&address) else { return ExitCode::SUCCESS };
    eprintln!("cannot serve on {address}: {error}");
    eprintln!("usage: echo_server [ADDR]; port 0 takes any free one");
    ExitCode::FAILURE
}
