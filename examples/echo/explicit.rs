//! The first skin: the echo server as an explicit select loop, of which `turn` is one go.
//! `benches/echo.rs` measures this one, too.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use selkie::{DefaultSelector, Events, Interest, Key, Readiness};
use socket2::Socket;

use super::Server;

pub struct SelectServer {
    echo: Echo,
    events: Events,
    address: SocketAddr,
}

/// All but the events, so that it may change while they are walked.
struct Echo {
    selector: DefaultSelector<Socket, Role>,
    /// One for all connections: on one thread, one is read at a time.
    buffer: Vec<u8>,
}

/// Our own data on each key.
enum Role {
    Listener,
    Connection { unsent: Vec<u8> },
}

impl SelectServer {
    /// Listens on a free port; reads up to `buffer` bytes at once.
    pub fn bind(buffer: usize) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let mut selector = DefaultSelector::new()?;
        selector.register(listener.into(), Interest::READ, Role::Listener)?;
        let echo = Echo { selector, buffer: vec![0; buffer] };
        Ok(Self { echo, events: Events::new(), address })
    }
}

impl Echo {
    fn handle(&mut self, key: Key, readiness: Readiness) -> io::Result<()> {
        match &self.selector[key].data {
            Role::Listener => self.accept(key),
            Role::Connection { .. } if readiness.is_writable() => self.send(key),
            Role::Connection { .. } => self.echo(key),
        }
    }

    fn accept(&mut self, listener: Key) -> io::Result<()> {
        let (connection, _) = self.selector[listener].source.accept()?;
        connection.set_nonblocking(true)?;
        connection.set_tcp_nodelay(true)?;
        let role = Role::Connection { unsent: Vec::new() };
        self.selector.register(connection, Interest::READ, role)?;
        Ok(())
    }

    fn echo(&mut self, key: Key) -> io::Result<()> {
        let mut connection = &self.selector[key].source;
        let count = connection.read(&mut self.buffer)?;
        if count == 0 {
            self.selector.unregister(key)?;
            return Ok(());
        }
        let bytes = &self.buffer[..count];
        let sent = sent_at_once(connection.write(bytes))?;
        if sent < count
            && let Some(Role::Connection { unsent }) = self.selector.data_mut(key)
        {
            // Back pressure: nothing more is read until the client has taken its echo.
            unsent.extend_from_slice(&bytes[sent..]);
            self.selector.modify(key, Interest::WRITE)?;
        }
        Ok(())
    }

    fn send(&mut self, key: Key) -> io::Result<()> {
        let registered = &self.selector[key];
        let Role::Connection { unsent } = &registered.data else { return Ok(()) };
        let sent = sent_at_once((&registered.source).write(unsent))?;
        if let Some(Role::Connection { unsent }) = self.selector.data_mut(key) {
            unsent.drain(..sent);
            if unsent.is_empty() {
                self.selector.modify(key, Interest::READ)?;
            }
        }
        Ok(())
    }
}

impl Server for SelectServer {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn turn(&mut self, timeout: Duration) -> io::Result<usize> {
        for (key, readiness) in self.echo.selector.select(&mut self.events, Some(timeout))? {
            match self.echo.handle(key, readiness) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _done_or_spurious => {}
            }
        }
        Ok(self.events.len())
    }
}

/// How much was written, which is nothing where writing would have blocked.
fn sent_at_once(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
