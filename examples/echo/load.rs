//! The load: clients on a selector of their own, each sending a message when its last one is back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use selkie::{DefaultSelector, Events, Interest, Key};

/// Bytes.
pub const MESSAGE: usize = 64;

pub struct Load {
    clients: Clients,
    events: Events,
}

struct Clients {
    selector: DefaultSelector<TcpStream, Exchange>,
    begun: u64,
    echoed: u64,
}

/// What a client does when its message is back.
#[derive(Clone, Copy, PartialEq)]
pub enum Then {
    SendAnother,
    Rest,
}

/// The message that a client has under way: our own data on each key.
struct Exchange {
    number: u64,
    message: [u8; MESSAGE],
    sent: usize,
    received: usize,
}

impl Load {
    /// Connects the clients.
    pub fn connect(server: SocketAddr, connections: u64) -> io::Result<Self> {
        let selector = DefaultSelector::new()?;
        let mut clients = Clients { selector, begun: 0, echoed: 0 };
        for _ in 0..connections {
            // It does not block: the kernel connects, up to the listener's backlog of 128, before
            // the server accepts.
            let stream = TcpStream::connect(server)?;
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            clients.selector.register(stream, Interest::READ, Exchange::new(0))?;
        }
        Ok(Self { clients, events: Events::new() })
    }

    /// Has every client send a message. None may be under way.
    pub fn begin(&mut self) -> io::Result<()> {
        let keys: Vec<_> = self.clients.selector.iter().map(|(key, _)| key).collect();
        keys.into_iter().try_for_each(|key| self.clients.begin(key))
    }

    /// How many messages came back, each byte as it was sent.
    pub fn echoed(&self) -> u64 {
        self.clients.echoed
    }

    /// How many messages are not back yet.
    pub fn outstanding(&self) -> u64 {
        self.clients.begun - self.clients.echoed
    }

    /// Waits at most `timeout`, and sends and receives what it can; returns how many clients were
    /// ready.
    pub fn turn(&mut self, timeout: Duration, then: Then) -> io::Result<usize> {
        for (key, readiness) in self.clients.selector.select(&mut self.events, Some(timeout))? {
            if readiness.is_readable() {
                self.clients.receive(key, then)?;
            }
            if readiness.is_writable() {
                self.clients.send(key)?;
            }
        }
        Ok(self.events.len())
    }
}

impl Clients {
    fn begin(&mut self, key: Key) -> io::Result<()> {
        if let Some(exchange) = self.selector.data_mut(key) {
            *exchange = Exchange::new(self.begun);
            self.begun += 1;
        }
        self.send(key)
    }

    fn send(&mut self, key: Key) -> io::Result<()> {
        let registered = &self.selector[key];
        let rest = &registered.data.message[registered.data.sent..];
        let count = match (&registered.source).write(rest) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            result => result?,
        };
        let Some(exchange) = self.selector.data_mut(key) else { return Ok(()) };
        exchange.sent += count;
        let is_sent = exchange.sent == MESSAGE;
        let interest = if is_sent { Interest::READ } else { Interest::READ | Interest::WRITE };
        self.selector.modify(key, interest) // No system call where nothing changes.
    }

    fn receive(&mut self, key: Key, then: Then) -> io::Result<()> {
        let registered = &self.selector[key];
        let mut buffer = [0; MESSAGE];
        let rest = &mut buffer[..MESSAGE - registered.data.received];
        let count = match (&registered.source).read(rest) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Ok(0) => return Err(registered.data.failed("is lost: the server hung up")),
            result => result?,
        };
        let Some(exchange) = self.selector.data_mut(key) else { return Ok(()) };
        exchange.take(&buffer[..count])?;
        if exchange.received < MESSAGE {
            return Ok(());
        }
        self.echoed += 1;
        if then == Then::SendAnother {
            self.begin(key)?;
        }
        Ok(())
    }
}

impl Exchange {
    /// No two messages are alike, nor two words of one, so that a byte of another message or of
    /// another place does not pass for the right one.
    fn new(number: u64) -> Self {
        let mut message = [0; MESSAGE];
        for (index, word) in (0_u64..).zip(message.chunks_exact_mut(8)) {
            // Odd factor and shift keep different numbers different, and fill all bytes.
            let mixed = (number << 8 | index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = mixed ^ mixed >> 32;
            word.copy_from_slice(&mixed.to_le_bytes());
        }
        Self { number, message, sent: 0, received: 0 }
    }

    /// Takes a piece of the echo, which must be what was sent.
    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        if piece != &self.message[self.received..][..piece.len()] {
            return Err(self.failed("came back with other bytes"));
        }
        self.received += piece.len();
        Ok(())
    }

    fn failed(&self, how: &str) -> io::Error {
        io::Error::other(format!("message {} {how}", self.number))
    }
}
