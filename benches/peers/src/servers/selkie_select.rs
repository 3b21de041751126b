//! selkie's explicit loop: Python's `selectors` in Rust, one read per event.

use std::cell::RefCell;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use selkie::selector::Open;
use selkie::{DefaultSelector, EpollSelector, Events, Interest, Selector};

use super::echo::{Echo, Next};

/// What is registered; the data of a connection is what it has still to write.
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

pub fn serve() -> Result<()> {
    Ok(run(DefaultSelector::new()?)?)
}

pub fn serve_epoll() -> Result<()> {
    Ok(run(EpollSelector::new()?)?)
}

fn run<B: Open>(mut selector: Selector<Source, RefCell<Echo>, B>) -> io::Result<()> {
    let listener = TcpListener::bind(super::ADDRESS)?;
    listener.set_nonblocking(true)?;
    super::announce(listener.local_addr()?)?;
    selector.register(Source::Listener(listener), Interest::READ, RefCell::default())?;

    let mut buffer = [0; super::BUFFER];
    let mut events = Events::new();
    loop {
        for (key, _readiness) in selector.select(&mut events, None)? {
            let registered = &selector[key];
            let stream = match &registered.source {
                Source::Connection(stream) => stream,
                Source::Listener(listener) => {
                    let (stream, _peer) = listener.accept()?;
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let source = Source::Connection(stream);
                    selector.register(source, Interest::READ, RefCell::default())?;
                    continue;
                }
            };
            let next = registered.data.borrow_mut().step(stream, &mut buffer);
            match next {
                Next::Read => selector.modify(key, Interest::READ)?,
                Next::Write => selector.modify(key, Interest::WRITE)?,
                Next::Closed => drop(selector.unregister(key)?),
            }
        }
    }
}
