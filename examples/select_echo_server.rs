//! The document's echo server: an explicit loop with a callback in the data of each key.
//!
//! Run it with `cargo run --example select_echo_server -- [ADDR] [--keep-running]`, where ADDR is
//! 127.0.0.1:9999 if not given, and `cargo run --example select_echo_client` in another terminal.
//! It prints `starting up on 127.0.0.1 port 9999`, then `waiting for I/O` (once a second if there
//! is none), `accept(…)`, `read(…)`, `  received …`, `  waiting to send …` where a client takes
//! its echo slowly, `  closing`, and `shutting down` when a client has left, if not to keep running.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use selkie::{DefaultSelector, Events, Interest, Key, Mode, Readiness};
use socket2::Socket; // A listener or a connection, as in Python; an enum of both would do, too.

const SECOND: Duration = Duration::from_secs(1);

type Callback = fn(&mut Server, Key, Readiness) -> io::Result<()>;

/// Our own data on each key: what to call when it is ready, and what belongs to the connection.
struct Data {
    callback: Callback,
    address: SocketAddr,
    unsent: Vec<u8>,
}

struct Server {
    selector: DefaultSelector<Socket, Data>,
    keep_running: bool,
    outlives_its_client: bool,
    /// The listener and when to try again, if it could not accept.
    paused: Option<(Key, Instant)>,
}

fn accept(server: &mut Server, key: Key, _mask: Readiness) -> io::Result<()> {
    match server.welcome(key) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => {
            // Such a listener stays ready. But it is a oneshot, silent until we arm it again; so
            // the other connections go on, and the loop does not spin.
            eprintln!("cannot accept: {error}; trying again in a second (see `ulimit -n`)");
            server.paused = Some((key, Instant::now() + SECOND));
            Ok(())
        }
        _done_or_spurious => server.selector.modify(key, Interest::READ),
    }
}

fn read(server: &mut Server, key: Key, mask: Readiness) -> io::Result<()> {
    println!("read({})", tuple(server.selector[key].data.address));
    let mut buffer = [0; 1024];
    let count = (&server.selector[key].source).read(&mut buffer)?;
    if count == 0 {
        return server.close(key);
    }
    println!("  received b'{}'", buffer[..count].escape_ascii());
    server.data(key).unsent.extend_from_slice(&buffer[..count]);
    write(server, key, mask)
}

/// Python's `sendall`, without blocking. While there is a rest, we wait to write and do not read:
/// the client has to take its echo before it can send more.
fn write(server: &mut Server, key: Key, _mask: Readiness) -> io::Result<()> {
    let sent = match (&server.selector[key].source).write(&server.selector[key].data.unsent) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        result => result?,
    };
    let data = server.data(key);
    data.unsent.drain(..sent);
    if data.unsent.is_empty() {
        data.callback = read;
        return server.selector.modify(key, Interest::READ);
    }
    println!("  waiting to send {} bytes", data.unsent.len());
    data.callback = write;
    server.selector.modify(key, Interest::WRITE)
}

impl Server {
    fn welcome(&mut self, listener: Key) -> io::Result<()> {
        let (connection, address) = self.selector[listener].source.accept()?;
        let address = address.as_socket().ok_or(ErrorKind::Unsupported)?;
        println!("accept({})", tuple(address));
        connection.set_nonblocking(true)?;
        let data = Data { callback: read, address, unsent: Vec::new() };
        self.selector.register(connection, Interest::READ, data)?;
        Ok(())
    }

    fn data(&mut self, key: Key) -> &mut Data {
        self.selector.data_mut(key).expect("a key that was delivered is registered")
    }

    fn close(&mut self, key: Key) -> io::Result<()> {
        println!("  closing");
        self.selector.unregister(key)?; // Hands the socket back; dropping it closes it.
        self.keep_running = self.outlives_its_client;
        Ok(())
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::new();
        while self.keep_running {
            println!("waiting for I/O");
            for (key, mask) in self.selector.select(&mut events, Some(SECOND))? {
                let Data { callback, address, .. } = self.selector[key].data;
                match callback(self, key, mask) {
                    Err(error) if error.kind() != ErrorKind::WouldBlock => {
                        eprintln!("client {}: {error}; it may connect again", tuple(address));
                        self.close(key)?;
                    }
                    _done_or_spurious => {}
                }
            }
            if let Some((key, _)) = self.paused.take_if(|(_, until)| *until <= Instant::now()) {
                self.selector.modify(key, Interest::READ)?;
            }
        }
        println!("shutting down");
        Ok(())
    }
}

fn tuple(address: SocketAddr) -> String {
    format!("('{}', {})", address.ip(), address.port())
}

fn serve(address: &str, outlives_its_client: bool) -> io::Result<()> {
    let selector = DefaultSelector::new()?;
    let mut server = Server { selector, keep_running: true, outlives_its_client, paused: None };
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    let data = Data { callback: accept, address, unsent: Vec::new() };
    server.selector.register_with_mode(listener.into(), Interest::READ, Mode::Oneshot, data)?;
    server.run()
}

fn main() -> ExitCode {
    let (mut address, mut keep_running) = ("127.0.0.1:9999".to_owned(), false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--keep-running" => keep_running = true,
            _ => address = argument,
        }
    }
    let Err(error) = serve(&address, keep_running) else { return ExitCode::SUCCESS };
    eprintln!("cannot serve on {address}: {error}");
    eprintln!("usage: select_echo_server [ADDR] [--keep-running]; port 0 takes any free one");
    ExitCode::FAILURE
}
