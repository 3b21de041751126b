//! An echo server on all cores: a runtime on each, which share nothing.
//!
//! Run it with `cargo run -p selkie-apps --bin cores -- [ADDR] [share|hand] [CORES]`, where ADDR is
//! 127.0.0.1:9999 if not given. With `share` each runtime has a listener, and the system spreads
//! connections over them (SO_REUSEPORT). With `hand` the first accepts, and hands each connection
//! to the next runtime by its `Remote`. At the end each tells how many it had.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use futures::StreamExt;
use selkie::signal::{SIGINT, SIGTERM, Signals};
use selkie::{Async, Cancel, Remote, Runtime, net, spawn};

/// How many connections a runtime has served: a value of its own, on its thread alone.
#[derive(Default)]
struct Served(Cell<u64>);

fn served() -> u64 {
    selkie::local(Served::default).0.get()
}

async fn converse(stream: Async<TcpStream>) {
    selkie::local(Served::default).0.set(served() + 1);
    if let Err(error) = futures::io::copy(&stream, &mut &stream).await {
        eprintln!("a connection: {error}");
    }
}

fn listen(address: SocketAddr) -> io::Result<Async<TcpListener>> {
    net::listen(address).reuse_port(true).nodelay(true).bind()
}

/// Gives each connection to `take`, until the end.
async fn accept(listener: Async<TcpListener>, end: Cancel, mut take: impl FnMut(Async<TcpStream>)) {
    let mut incoming = listener.incoming().take_until(end.cancelled());
    while let Some(accepted) = incoming.next().await {
        match accepted {
            Ok((stream, _peer)) => take(stream),
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
}

struct Core {
    remote: Remote,
    thread: JoinHandle<io::Result<u64>>,
}

impl Core {
    /// A runtime on a thread of its own, with a listener at `address`, or without.
    fn start(number: usize, end: Cancel, address: Option<SocketAddr>) -> io::Result<Self> {
        let (sender, remote) = mpsc::channel();
        let work = move || {
            let runtime = Runtime::new()?;
            runtime.block_on(async {
                let listener = address.map(listen).transpose()?;
                // Fails only if nobody waits for it any more.
                let _ = sender.send(Remote::current());
                if let Some(listener) = listener {
                    accept(listener, end, |stream| spawn(converse(stream)).detach()).await;
                } else {
                    end.cancelled().await;
                }
                Ok(served())
            })
        };
        let thread = thread::Builder::new().name(format!("core {number}")).spawn(work)?;
        match remote.recv() {
            Ok(remote) => Ok(Self { remote, thread }),
            Err(_) => join(thread).and(Err(io::Error::other("a runtime ended at once"))),
        }
    }
}

fn join(thread: JoinHandle<io::Result<u64>>) -> io::Result<u64> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn serve(address: SocketAddr, hands: bool, count: usize) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (listener, end) = (listen(address)?, Cancel::new());
    let address = listener.local_addr()?;
    let start = |number| Core::start(number, end.clone(), (!hands).then_some(address));
    let others = (1..count).map(start).collect::<io::Result<Vec<_>>>()?;
    println!("starting up on {} port {}", address.ip(), address.port());

    let ends = end.clone();
    let _signals = spawn(async move {
        signals.next().await;
        ends.cancel();
    });
    let mut next = (0..count).cycle();
    accept(listener, end.clone(), |stream| match next.next() {
        // A socket is `Send` once it is no source of this runtime any more.
        Some(number @ 1..) if hands => match stream.into_inner() {
            Ok(stream) => {
                let make = || async { converse(Async::new(stream).expect("a descriptor")).await };
                others[number - 1].remote.spawn(make).expect("it runs").detach();
            }
            Err(error) => eprintln!("cannot hand over: {error}"),
        },
        _ => spawn(converse(stream)).detach(),
    })
    .await;
    println!("core 0 had {} connections", served());
    for (number, core) in (1..).zip(others) {
        println!("core {number} had {} connections", join(core.thread)?);
    }
    Ok(())
}

fn run() -> io::Result<()> {
    let address = selkie_apps::address_or("127.0.0.1:9999")?;
    let hands = match std::env::args().nth(2).as_deref() {
        None | Some("share") => false,
        Some("hand") => true,
        Some(other) => {
            return Err(io::Error::other(format!("{other:?} is neither share nor hand")));
        }
    };
    let count = match std::env::args().nth(3) {
        None => thread::available_parallelism()?.get(),
        Some(count) => count.parse().map_err(|_| io::Error::other("CORES is a number"))?,
    };
    selkie::block_on(serve(address, hands, count))
}

fn main() -> ExitCode {
    selkie_apps::exit("cores [ADDR] [share|hand] [CORES]", run())
}
