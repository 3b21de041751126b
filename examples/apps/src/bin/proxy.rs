//! A TCP proxy: every connection goes on to another address.
//!
//! Run it with `cargo run -p selkie-apps --bin proxy -- LISTEN TARGET`, as in `proxy 127.0.0.1:9998
//! 127.0.0.1:80`. A side that has ended is shut down on the other side, and bytes still go the
//! other way. For each connection it prints how many bytes went there and back. Ctrl-C and SIGTERM
//! give those that are open five seconds more.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::StreamExt;
use selkie::signal::{SIGINT, SIGTERM, Signals};
use selkie::{Async, TaskGroup, net, timeout};
use selkie_apps::address;

/// For the target to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// For open connections when the proxy ends.
const GRACE: Duration = Duration::from_secs(5);

async fn carry(client: &Async<TcpStream>, target: SocketAddr) -> io::Result<net::Copied> {
    let server = timeout(PATIENCE, Async::<TcpStream>::connect(target)).await??;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    Ok(net::copy_bidirectional(client, &server).await?)
}

async fn serve(client: Async<TcpStream>, peer: SocketAddr, target: SocketAddr) {
    let start = Instant::now();
    match carry(&client, target).await {
        Ok(copied) => println!(
            "{peer}: {} bytes there, {} bytes back, {:.3} s",
            copied.a_to_b,
            copied.b_to_a,
            start.elapsed().as_secs_f64()
        ),
        Err(error) => eprintln!("{peer}: {error}"),
    }
}

pub async fn run(listen: SocketAddr, target: SocketAddr) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listener = Async::<TcpListener>::bind(listen)?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    let mut clients = TaskGroup::new();
    let mut incoming = listener.incoming().take_until(signals.next());
    while let Some(accepted) = incoming.next().await {
        match accepted {
            Ok((client, peer)) => clients.spawn(serve(client, peer, target)),
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
    drop(incoming);
    drop(signals); // A second Ctrl-C ends it at once.
    println!("shutting down, {} connections are open", clients.len());
    let ended = clients.shutdown(GRACE).await;
    println!("{} ended by themselves, {} were cut", ended.finished, ended.cancelled);
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match &arguments[..] {
        [listen, target] => address(listen).and_then(|listen| Ok((listen, address(target)?))),
        _ => Err(io::Error::other("two addresses are needed")),
    };
    let result = result.and_then(|(listen, target)| selkie::block_on(run(listen, target)));
    selkie_apps::exit("proxy LISTEN TARGET", result)
}
