//! The two skins on the same work: an echo server as an explicit select loop, and as async tasks.
//!
//! Run it with `cargo bench -p benches --bench echo`, or `cargo bench -p benches --bench echo --
//! '50 connections'`; with `SELKIE_BACKEND=poll`, or `select`, or `polling` before it on another
//! back end. It shows the CPU time of the server for a message, that of its system calls included
//! and that of the client not, and as ratios what the async skin adds. Server and client are on one
//! thread, over loopback TCP. The loop has one buffer, each task one of its own, as one writes
//! them: with a thousand connections, the long messages show what that costs in cache misses.

#[path = "../examples/echo/explicit.rs"]
mod explicit;
mod support;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use explicit::SelectServer;
use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, Runtime};
use support::load::{Load, Round};
use support::{Bench, Sides, cpu_time, may_have_descriptors};

/// Bytes of a server's buffer. More than the longest message: a read that fills its buffer does
/// not tell the tasks, which see edges, that nothing is left, and they would try once more.
const BUFFER: usize = 32 * 1024;

const CONNECTIONS: [usize; 3] = [1, 50, 1000];

const ROUNDS: [Round; 4] = [
    Round { size: 64, outstanding: 1 },
    Round { size: 64, outstanding: 16 },
    Round { size: 1024, outstanding: 1 },
    Round { size: 16 * 1024, outstanding: 1 },
];

/// An echo server without a loop of its own.
trait Server {
    fn address(&self) -> SocketAddr;

    /// Waits at most `timeout` and serves who is ready; returns 0 if nobody was.
    fn turn(&mut self, timeout: Duration) -> io::Result<usize>;
}

/// The second skin, as the example has it but for its buffer.
struct Tasks {
    runtime: Runtime,
    address: SocketAddr,
}

impl Tasks {
    fn bind() -> io::Result<Self> {
        let runtime = Runtime::new()?;
        let listener = runtime.enter(|| Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.get_ref().local_addr()?;
        runtime
            .spawn(async move {
                loop {
                    let (connection, _peer) = listener.accept().await?;
                    connection.set_nodelay(true)?;
                    selkie::spawn(echo(connection)).detach();
                }
                #[expect(unreachable_code, reason = "says what `?` returns")]
                io::Result::Ok(())
            })
            .detach();
        Ok(Self { runtime, address })
    }
}

async fn echo(mut connection: Async<TcpStream>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = connection.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        connection.write_all(&buffer[..count]).await?;
    }
}

impl Server for Tasks {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn turn(&mut self, timeout: Duration) -> io::Result<usize> {
        self.runtime.turn(Some(timeout)).map(|turn| turn.events + turn.polls)
    }
}

/// A server and the clients that are connected to it.
struct Conversation {
    load: Load,
    server: Box<dyn Server>,
}

impl Conversation {
    fn new(mut server: Box<dyn Server>, connections: usize) -> io::Result<Self> {
        let load =
            Load::connect(server.address(), connections, || server.turn(Duration::ZERO).map(drop))?;
        Ok(Self { load, server })
    }

    /// The CPU time that the server takes for so many messages.
    fn serve(&mut self, round: Round, messages: u64) -> io::Result<Duration> {
        let Self { load, server } = self;
        let rounds = messages.div_ceil(load.messages(round));
        let mut whole = Duration::ZERO;
        for _ in 0..rounds {
            load.round(round, || {
                let mut turn = Ok(0);
                whole += cpu_time(|| turn = server.turn(Duration::ZERO));
                turn.map(drop)
            })?;
        }
        Ok(whole.mul_f64(messages as f64 / (rounds * load.messages(round)) as f64))
    }
}

fn main() -> io::Result<()> {
    let mut bench = Bench::from_args();
    for connections in CONNECTIONS {
        let name = format!("echo, {connections} connections");
        // Two servers, and both ends of each connection.
        if !may_have_descriptors(4 * connections as u64 + 50, &name) {
            continue;
        }
        let mut explicit = Conversation::new(Box::new(SelectServer::bind(BUFFER)?), connections)?;
        let mut tasks = Conversation::new(Box::new(Tasks::bind()?), connections)?;
        for round in ROUNDS {
            let mut sides = Sides::new(format!("{name}, {} x {} B", round.outstanding, round.size));
            for (skin, talk) in [("explicit loop", &mut explicit), ("tasks", &mut tasks)] {
                sides.add(skin, move |messages| talk.serve(round, messages).expect("both talk"));
            }
            bench.run(sides);
        }
    }
    bench.finish();
    Ok(())
}
