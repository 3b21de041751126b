use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use selkie::{DefaultSelector, Events, Interest};

// The explicit loop; the async skin takes its place once it is there.
enum Source {
    Listener(TcpListener),
    Connection(TcpStream),
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Listener(listener) => listener.as_fd(),
            Self::Connection(stream) => stream.as_fd(),
        }
    }
}

fn main() -> io::Result<()> {
    let mut selector = DefaultSelector::new()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    selector.register(Source::Listener(listener), Interest::READ, ())?;
    let mut events = Events::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        for (key, _readiness) in selector.select(&mut events, None)? {
            match &selector[key].source {
                Source::Listener(listener) => {
                    let (stream, _peer) = listener.accept()?;
                    selector.register(Source::Connection(stream), Interest::READ, ())?;
                }
                Source::Connection(stream) => {
                    let mut stream = stream;
                    match stream.read(&mut buffer)? {
                        0 => drop(selector.unregister(key)?),
                        len => stream.write_all(&buffer[..len])?,
                    }
                }
            }
        }
    }
}
