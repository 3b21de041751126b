//! The document's conversation, the server's words on the left and the client's on the right: a
//! server of async tasks and a client that is an explicit loop, in turns on one thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use selkie::{DefaultSelector, Events, Interest};

use super::Server;
use super::tasks::Happened;

/// Columns for the server's words; the longest are `  received b'This is the message. '`.
const LEFT: usize = 40;

/// Much longer than the conversation takes, to end it if an echo should be lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// For how long a server is waited for that has nothing to do.
const PAUSE: Duration = Duration::from_millis(1);

fn right(words: &str) {
    println!("{:LEFT$}{words}", "");
}

/// What the server has to tell.
pub fn print(happened: Happened<'_>) {
    match happened {
        Happened::Accepted(peer) => println!("accept(('{}', {}))", peer.ip(), peer.port()),
        Happened::Received(peer, bytes) => {
            println!("read(('{}', {}))", peer.ip(), peer.port());
            println!("  received b'{}'", bytes.escape_ascii());
        }
        Happened::Closed(peer) => {
            println!("read(('{}', {}))", peer.ip(), peer.port());
            println!("  closing");
        }
    }
}

/// Lets the document's client talk with `server`, each doing all that it can in its turn.
pub fn run(server: &mut dyn Server) -> io::Result<()> {
    let address = server.address();
    println!("{:LEFT$}client: an explicit loop", "server: async tasks");
    println!("starting up on {} port {}", address.ip(), address.port());
    right(&format!("connecting to {} port {}", address.ip(), address.port()));
    let mut client = Client::connect(address)?;
    let deadline = Instant::now() + PATIENCE;
    while !client.is_done() {
        if Instant::now() > deadline {
            return Err(io::Error::new(ErrorKind::TimedOut, "the echo did not come in 10 s"));
        }
        client.turn()?;
        while server.turn(PAUSE)? > 0 {}
    }
    right("shutting down");
    drop(client);
    while server.turn(PAUSE)? > 0 {}
    println!("shutting down");
    Ok(())
}

struct Client {
    selector: DefaultSelector<TcpStream>,
    events: Events,
    outgoing: Vec<&'static [u8]>,
    bytes_sent: usize,
    bytes_received: usize,
}

impl Client {
    fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nonblocking(true)?;
        let mut selector = DefaultSelector::new()?;
        selector.register(stream, Interest::READ | Interest::WRITE, ())?;
        let outgoing: Vec<&[u8]> = vec![b"It will be repeated.", b"This is the message. "];
        Ok(Self { selector, events: Events::new(), outgoing, bytes_sent: 0, bytes_received: 0 })
    }

    fn is_done(&self) -> bool {
        self.outgoing.is_empty() && self.bytes_sent > 0 && self.bytes_received == self.bytes_sent
    }

    fn turn(&mut self) -> io::Result<()> {
        for (key, mask) in self.selector.select(&mut self.events, Some(PAUSE))? {
            let mut connection = &self.selector[key].source;
            if mask.is_readable() {
                let mut buffer = [0; 1024];
                let count = connection.read(&mut buffer)?;
                if count == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                right(&format!("  received b'{}'", buffer[..count].escape_ascii()));
                self.bytes_received += count;
            }
            if mask.is_writable() {
                let Some(message) = self.outgoing.pop() else {
                    right("  switching to read-only");
                    self.selector.modify(key, Interest::READ)?;
                    continue;
                };
                right(&format!("  sending b'{}'", message.escape_ascii()));
                // It fits into a new socket's buffer; `select_echo_client` shows the general case.
                connection.write_all(message)?;
                self.bytes_sent += message.len();
            }
        }
        Ok(())
    }
}
