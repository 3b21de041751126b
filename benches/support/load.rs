//! A bounded echo load that runs on the thread of its server, in turns with it: over loopback TCP
//! what the one writes is there when the other looks, so neither ever waits.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

/// Connections that are begun before the server gets to accept them: below the usual backlog.
const AT_ONCE: usize = 64;

/// What a round of the load is made of.
#[derive(Clone, Copy)]
pub struct Round {
    /// Bytes of a message.
    pub size: usize,
    /// Messages that each connection sends before it has seen an echo.
    pub outstanding: usize,
}

pub struct Load {
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    unsent: usize,
    unread: usize,
}

impl Load {
    /// Connects; `serve` gives the server a turn.
    pub fn connect(
        address: SocketAddr,
        count: usize,
        mut serve: impl FnMut() -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut connections = Vec::new();
        while connections.len() < count {
            for _ in 0..AT_ONCE.min(count - connections.len()) {
                let stream = TcpStream::connect(address)?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                // Leaves no connection in TIME_WAIT: there are thousands.
                SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
                connections.push(Connection { stream, unsent: 0, unread: 0 });
            }
            let mut load = Self { connections, buffer: vec![0; 16] };
            load.round(Round { size: 1, outstanding: 1 }, &mut serve)?;
            connections = load.connections;
        }
        Ok(Self { connections, buffer: vec![0x5e; 64 * 1024] })
    }

    /// Messages in one round.
    pub fn messages(&self, round: Round) -> u64 {
        (self.connections.len() * round.outstanding) as u64
    }

    /// Every connection sends its messages, and takes the echo of each byte.
    pub fn round(
        &mut self,
        Round { size, outstanding }: Round,
        mut serve: impl FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        for connection in &mut self.connections {
            connection.unsent = size * outstanding;
            connection.unread = size * outstanding;
        }
        let mut is_done = false;
        while !is_done {
            for connection in &mut self.connections {
                connection.send(&self.buffer[..size])?;
            }
            serve()?;
            is_done = true;
            for connection in &mut self.connections {
                is_done &= connection.receive(&mut self.buffer)?;
            }
        }
        Ok(())
    }
}

impl Connection {
    /// Each message is a write of its own, as far as there is room.
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        while self.unsent > 0 {
            // A message that was cut short by the last write goes on where it ended.
            let rest = (self.unsent - 1) % message.len() + 1;
            match self.stream.write(&message[message.len() - rest..]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                sent => self.unsent -= sent?,
            }
        }
        Ok(())
    }

    /// True if all has come back.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        while self.unread > 0 {
            match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                read => self.unread -= read?,
            }
        }
        Ok(self.unread == 0)
    }
}
