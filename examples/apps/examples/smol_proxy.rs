//! `proxy`, with smol.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use async_signal::{Signal, Signals};
use futures::future::{Either, select};
use selkie_apps::address;
use smol::future::{FutureExt, try_zip};
use smol::net::{TcpListener, TcpStream};
use smol::stream::StreamExt;
use smol::{LocalExecutor, Timer};

const PATIENCE: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(5);

async fn half(from: &TcpStream, to: &TcpStream) -> io::Result<u64> {
    let count = smol::io::copy(from.clone(), to.clone()).await?;
    to.shutdown(Shutdown::Write)?;
    Ok(count)
}

async fn carry(client: &TcpStream, target: SocketAddr) -> io::Result<(u64, u64)> {
    let too_late = async {
        Timer::after(PATIENCE).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    let server = TcpStream::connect(target).or(too_late).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    try_zip(half(client, &server), half(&server, client)).await
}

async fn serve(client: TcpStream, peer: SocketAddr, target: SocketAddr) {
    let start = Instant::now();
    match carry(&client, target).await {
        Ok((there, back)) => println!(
            "{peer}: {there} bytes there, {back} bytes back, {:.3} s",
            start.elapsed().as_secs_f64()
        ),
        Err(error) => eprintln!("{peer}: {error}"),
    }
}

async fn run(
    executor: &LocalExecutor<'_>,
    listen: SocketAddr,
    target: SocketAddr,
) -> io::Result<()> {
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    // Each task holds a sender: when all are gone, so are the tasks.
    let (alive, ended) = smol::channel::unbounded::<()>();
    loop {
        let accepted = match select(Box::pin(listener.accept()), signals.next()).await {
            Either::Left((accepted, _)) => accepted,
            Either::Right(_) => break,
        };
        match accepted {
            Ok((client, peer)) => {
                let alive = alive.clone();
                executor
                    .spawn(async move {
                        serve(client, peer, target).await;
                        drop(alive);
                    })
                    .detach();
            }
            Err(error) => {
                eprintln!("cannot accept: {error}");
                Timer::after(Duration::from_millis(100)).await;
            }
        }
    }
    let open = alive.sender_count() - 1;
    println!("shutting down, {open} connections are open");
    drop(alive);
    let too_late = async {
        Timer::after(GRACE).await;
    };
    let all_ended = async {
        let _ = ended.recv().await;
    };
    all_ended.or(too_late).await;
    let cut = ended.sender_count();
    println!("{} ended by themselves, {cut} were cut", open - cut);
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match &arguments[..] {
        [listen, target] => address(listen).and_then(|listen| Ok((listen, address(target)?))),
        _ => Err(io::Error::other("two addresses are needed")),
    };
    let result = result.and_then(|(listen, target)| {
        let executor = LocalExecutor::new();
        smol::block_on(executor.run(run(&executor, listen, target)))
    });
    selkie_apps::exit("proxy LISTEN TARGET", result)
}
