//! `proxy`, with tokio.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use selkie_apps::address;
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

const PATIENCE: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(5);

async fn carry(mut client: TcpStream, target: SocketAddr) -> io::Result<(u64, u64)> {
    let mut server = timeout(PATIENCE, TcpStream::connect(target)).await??;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await
}

async fn serve(client: TcpStream, peer: SocketAddr, target: SocketAddr) {
    let start = Instant::now();
    match carry(client, target).await {
        Ok((there, back)) => println!(
            "{peer}: {there} bytes there, {back} bytes back, {:.3} s",
            start.elapsed().as_secs_f64()
        ),
        Err(error) => eprintln!("{peer}: {error}"),
    }
}

async fn run(listen: SocketAddr, target: SocketAddr) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    let clients = TaskTracker::new();
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        match accepted {
            Ok((client, peer)) => drop(clients.spawn(serve(client, peer, target))),
            Err(error) => {
                eprintln!("cannot accept: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let open = clients.len();
    println!("shutting down, {open} connections are open");
    clients.close();
    let _ = timeout(GRACE, clients.wait()).await;
    println!("{} ended by themselves, {} were cut", open - clients.len(), clients.len());
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match &arguments[..] {
        [listen, target] => address(listen).and_then(|listen| Ok((listen, address(target)?))),
        _ => Err(io::Error::other("two addresses are needed")),
    };
    let result = result.and_then(|(listen, target)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(run(listen, target))
    });
    selkie_apps::exit("proxy LISTEN TARGET", result)
}
