//! One connection of the echo load: what it has sent, what it has got back, and when.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::pattern::Pattern;

pub struct Connection {
    stream: TcpStream,
    /// Where this connection's bytes begin in the pattern: each has its own.
    offset: u64,
    message: u64,
    /// Bytes that are to be sent, were sent, and came back.
    wanted: u64,
    sent: u64,
    received: u64,
    /// When the messages under way were wanted.
    begun: VecDeque<Instant>,
}

impl Connection {
    /// `stream` has to be non-blocking.
    pub fn new(stream: TcpStream, index: usize, message: u32) -> Self {
        // A prime, so that neighbours differ at once.
        let offset = index as u64 * 7_919;
        let message = u64::from(message);
        Self { stream, offset, message, wanted: 0, sent: 0, received: 0, begun: VecDeque::new() }
    }

    /// Puts `messages` more under way, and sends as much as fits.
    pub fn begin(&mut self, messages: u32, now: Instant, pattern: &Pattern) -> Result<()> {
        self.wanted += u64::from(messages) * self.message;
        self.begun.extend((0..messages).map(|_| now));
        self.send(pattern)
    }

    /// Sends what is wanted, as far as it fits.
    pub fn send(&mut self, pattern: &Pattern) -> Result<()> {
        while self.sent < self.wanted {
            let len = (self.wanted - self.sent).min(Pattern::MAX as u64) as usize;
            match self.stream.write(pattern.at(self.offset + self.sent, len)) {
                Ok(len) => self.sent += len as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("the server does not take a message"),
            }
        }
        Ok(())
    }

    /// Takes in what has come back, compares it, and calls `done` for each message that is
    /// complete with the time when it was begun. Returns how many there were.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        pattern: &Pattern,
        mut done: impl FnMut(Instant),
    ) -> Result<u32> {
        let before = self.received / self.message;
        loop {
            let len = match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                result => result.context("the server broke a connection")?,
            };
            ensure!(len > 0, "the server closed a connection");
            ensure!(
                self.received + len as u64 <= self.sent
                    && buffer[..len] == *pattern.at(self.offset + self.received, len),
                "an echo differs from what was sent"
            );
            self.received += len as u64;
            // On an edge of epoll, and the server does not hang up.
            if len < buffer.len() {
                break;
            }
        }
        let complete = self.received / self.message - before;
        self.begun.drain(..complete as usize).for_each(&mut done);
        Ok(complete as u32)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let near = TcpStream::connect(address).expect("a connection");
        near.set_nonblocking(true).expect("a socket");
        (Connection::new(near, 3, 4), listener.accept().expect("a connection").0)
    }

    fn receive_one(connection: &mut Connection, pattern: &Pattern) -> Result<u32> {
        let deadline = Instant::now() + super::super::PATIENCE;
        loop {
            match connection.receive(&mut [0; 64], pattern, |_| {})? {
                0 if Instant::now() < deadline => std::thread::yield_now(),
                messages => return Ok(messages),
            }
        }
    }

    #[test]
    fn an_echo_is_counted_once_it_is_complete() {
        let ((mut near, mut far), pattern) = (pair(), Pattern::new());
        near.begin(2, Instant::now(), &pattern).expect("room");
        let mut message = [0; 8];
        far.read_exact(&mut message).expect("two messages");
        far.write_all(&message[..5]).expect("room");
        assert_eq!(receive_one(&mut near, &pattern).expect("the same bytes"), 1);
        far.write_all(&message[5..]).expect("room");
        assert_eq!(receive_one(&mut near, &pattern).expect("the same bytes"), 1);
    }

    #[test]
    fn a_wrong_byte_and_one_too_many_are_errors() {
        let pattern = Pattern::new();
        let spoil: [fn(&mut Vec<u8>); 2] = [|answer| answer[2] ^= 1, |answer| answer.push(0)];
        for spoil in spoil {
            let (mut near, mut far) = pair();
            near.begin(1, Instant::now(), &pattern).expect("room");
            let mut answer = vec![0; 4];
            far.read_exact(&mut answer).expect("a message");
            spoil(&mut answer);
            far.write_all(&answer).expect("room");
            receive_one(&mut near, &pattern).expect_err("other bytes");
        }
    }
}
