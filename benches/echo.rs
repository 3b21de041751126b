//! The two skins on the same work: an echo server as an explicit select loop, and as async tasks.
//!
//! Run it with `cargo bench --bench echo`, or `cargo bench --bench echo -- '50 connections'`; with
//! `SELKIE_BACKEND=poll`, or `select`, or `polling` before it on another back end. It shows the
//! CPU time of the server for a message, that of its system calls included and that of the client
//! not, and as ratios what the async skin adds. Server and client are on one thread, over loopback
//! TCP. The loop has one buffer, each task one of its own, as one writes them: with a thousand
//! connections, the long messages show what that costs in cache misses.

mod support;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, DefaultSelector, Events, Interest, Key, Readiness, Runtime};
use socket2::Socket;
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

    /// Serves who is ready, and does not wait.
    fn turn(&mut self) -> io::Result<()>;
}

fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The first skin.
struct Explicit {
    handler: Handler,
    events: Events,
    address: SocketAddr,
}

struct Handler {
    selector: DefaultSelector<Socket, Role>,
    buffer: Vec<u8>,
}

/// Our own data on each key.
enum Role {
    Listener,
    Connection { unsent: Vec<u8> },
}

impl Explicit {
    fn bind() -> io::Result<Self> {
        let (listener, address) = listen()?;
        let mut selector = DefaultSelector::new()?;
        selector.register(listener.into(), Interest::READ, Role::Listener)?;
        let handler = Handler { selector, buffer: vec![0; BUFFER] };
        Ok(Self { handler, events: Events::new(), address })
    }
}

impl Handler {
    fn handle(&mut self, key: Key, readiness: Readiness) -> io::Result<()> {
        match &self.selector[key].data {
            Role::Listener => self.accept(key),
            Role::Connection { .. } if readiness.is_writable() => self.send(key),
            Role::Connection { .. } => self.echo(key),
        }
    }

    fn accept(&mut self, listener: Key) -> io::Result<()> {
        let (connection, _peer) = self.selector[listener].source.accept()?;
        connection.set_nonblocking(true)?;
        connection.set_tcp_nodelay(true)?;
        let role = Role::Connection { unsent: Vec::new() };
        self.selector.register(connection, Interest::READ, role)?;
        Ok(())
    }

    fn echo(&mut self, key: Key) -> io::Result<()> {
        let mut connection = &self.selector[key].source;
        let count = match connection.read(&mut self.buffer) {
            Ok(0) => return self.selector.unregister(key).map(drop),
            count => count?,
        };
        let sent = sent_at_once(connection.write(&self.buffer[..count]))?;
        if sent < count
            && let Some(Role::Connection { unsent }) = self.selector.get_mut(key)
        {
            unsent.extend_from_slice(&self.buffer[sent..count]);
            self.selector.modify(key, Interest::WRITE)?;
        }
        Ok(())
    }

    fn send(&mut self, key: Key) -> io::Result<()> {
        let registered = &self.selector[key];
        let Role::Connection { unsent } = &registered.data else { return Ok(()) };
        let sent = sent_at_once((&registered.source).write(unsent))?;
        if let Some(Role::Connection { unsent }) = self.selector.get_mut(key) {
            unsent.drain(..sent);
            if unsent.is_empty() {
                self.selector.modify(key, Interest::READ)?;
            }
        }
        Ok(())
    }
}

impl Server for Explicit {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn turn(&mut self) -> io::Result<()> {
        let Self { handler, events, .. } = self;
        for (key, readiness) in handler.selector.select(events, Some(Duration::ZERO))? {
            match handler.handle(key, readiness) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _done_or_spurious => {}
            }
        }
        Ok(())
    }
}

/// How much was written, which is nothing where writing would have blocked.
fn sent_at_once(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}

/// The second skin.
struct Tasks {
    runtime: Runtime,
    address: SocketAddr,
}

impl Tasks {
    fn bind() -> io::Result<Self> {
        let (runtime, (listener, address)) = (Runtime::new()?, listen()?);
        let listener = runtime.enter(|| Async::new_nonblocking(listener))?;
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

async fn echo(mut connection: Async<std::net::TcpStream>) -> io::Result<()> {
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

    fn turn(&mut self) -> io::Result<()> {
        self.runtime.turn(Some(Duration::ZERO)).map(drop)
    }
}

/// A server and the clients that are connected to it.
struct Conversation {
    load: Load,
    server: Box<dyn Server>,
}

impl Conversation {
    fn new(mut server: Box<dyn Server>, connections: usize) -> io::Result<Self> {
        let load = Load::connect(server.address(), connections, || server.turn())?;
        Ok(Self { load, server })
    }

    /// The CPU time that the server takes for so many messages.
    fn serve(&mut self, round: Round, messages: u64) -> io::Result<Duration> {
        let Self { load, server } = self;
        let rounds = messages.div_ceil(load.messages(round));
        let mut whole = Duration::ZERO;
        for _ in 0..rounds {
            load.round(round, || {
                let mut turn = Ok(());
                whole += cpu_time(|| turn = server.turn());
                turn
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
        let mut explicit = Conversation::new(Box::new(Explicit::bind()?), connections)?;
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
