//! What the servers with an explicit loop share: the echo of one connection, so that their
//! modules show the loop alone. Knows no selector.

use std::io::{self, Read, Write};

/// What the loop has to wait for before it comes back to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Read,
    Write,
    /// The other side is gone: drop the connection.
    Closed,
}

/// When a connection counts as drained of what has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// A read did not fill the buffer. Sound on an edge of epoll while no hang-up was seen.
    AtShortRead,
    /// A read would block.
    AtWouldBlock,
}

/// The bytes of a connection that were read and not written back yet.
#[derive(Debug, Default)]
pub struct Echo {
    unsent: Vec<u8>,
    sent: usize,
}

impl Echo {
    /// True if reading has to wait until what is unsent is out.
    pub fn is_blocked(&self) -> bool {
        self.sent < self.unsent.len()
    }

    /// At most one read, and its write: for a loop that is told again of what is left.
    pub fn step(&mut self, mut stream: impl Read + Write, buffer: &mut [u8]) -> Next {
        let mut step = || {
            if self.is_blocked() && !self.flush(&mut stream)? {
                return Ok(Next::Write);
            }
            match stream.read(buffer)? {
                0 => Ok(Next::Closed),
                len if self.send(&mut stream, &buffer[..len])? => Ok(Next::Read),
                _ => Ok(Next::Write),
            }
        };
        next_or_closed(step())
    }

    /// Reads and writes until the connection is drained: for a loop that is told once.
    pub fn drain(
        &mut self,
        mut stream: impl Read + Write,
        buffer: &mut [u8],
        drained: Drained,
    ) -> Next {
        let mut drain = || {
            if self.is_blocked() && !self.flush(&mut stream)? {
                return Ok(Next::Write);
            }
            loop {
                let len = stream.read(buffer)?;
                if len == 0 {
                    return Ok(Next::Closed);
                }
                if !self.send(&mut stream, &buffer[..len])? {
                    return Ok(Next::Write);
                }
                if len < buffer.len() && drained == Drained::AtShortRead {
                    return Ok(Next::Read);
                }
            }
        };
        next_or_closed(drain())
    }

    /// Writes `bytes` and keeps what does not fit. True if everything is out.
    fn send(&mut self, stream: &mut impl Write, bytes: &[u8]) -> io::Result<bool> {
        let sent = match stream.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            result => result?,
        };
        self.unsent.clear();
        self.sent = 0;
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(!self.is_blocked())
    }

    /// Writes what is unsent. True if everything is out.
    fn flush(&mut self, stream: &mut impl Write) -> io::Result<bool> {
        while self.is_blocked() {
            match stream.write(&self.unsent[self.sent..]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                result => self.sent += result?,
            }
        }
        Ok(true)
    }
}

/// An error ends its connection and not the server: the load generator notices.
fn next_or_closed(result: io::Result<Next>) -> Next {
    match result {
        Ok(next) => next,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Next::Read,
        Err(_) => Next::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads from `input`, and takes at most `room` bytes until it is given more.
    struct Pipe<'a> {
        input: &'a [u8],
        output: Vec<u8>,
        room: usize,
    }

    impl Read for Pipe<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.input.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.input.read(buffer)
        }
    }

    impl Write for Pipe<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let len = bytes.len().min(self.room);
            if len == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= len;
            self.output.extend_from_slice(&bytes[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_partial_write_is_finished_before_more_is_read() {
        let mut pipe = Pipe { input: b"0123456789", output: Vec::new(), room: 3 };
        let (mut echo, mut buffer) = (Echo::default(), [0; 4]);
        assert_eq!(echo.drain(&mut pipe, &mut buffer, Drained::AtWouldBlock), Next::Write);
        assert_eq!((pipe.output.as_slice(), echo.is_blocked()), (&b"012"[..], true));
        pipe.room = 100;
        assert_eq!(echo.drain(&mut pipe, &mut buffer, Drained::AtWouldBlock), Next::Read);
        assert_eq!((pipe.output.as_slice(), echo.is_blocked()), (&b"0123456789"[..], false));
    }

    #[test]
    fn a_step_reads_once_and_a_short_read_ends_a_drain() {
        let mut pipe = Pipe { input: b"0123456789", output: Vec::new(), room: 100 };
        let (mut echo, mut buffer) = (Echo::default(), [0; 4]);
        assert_eq!(echo.step(&mut pipe, &mut buffer), Next::Read);
        assert_eq!(pipe.output, b"0123");
        assert_eq!(echo.drain(&mut pipe, &mut buffer, Drained::AtShortRead), Next::Read);
        assert_eq!(pipe.output, b"0123456789");
    }
}
