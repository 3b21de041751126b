//! mio, as its `tcp_server` example: edges, so read until `WouldBlock`.

use anyhow::Result;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use slab::Slab;
use std::io;

use super::echo::{Drained, Echo, Next};

const LISTENER: Token = Token(usize::MAX);

pub fn serve() -> Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind(super::ADDRESS.into())?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    super::announce(listener.local_addr()?)?;

    let mut connections = Slab::new();
    let mut buffer = [0; super::BUFFER];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in events.iter() {
            if event.token() == LISTENER {
                accept_all(poll.registry(), &listener, &mut connections)?;
                continue;
            }
            let Token(key) = event.token();
            let (stream, echo): &mut (TcpStream, Echo) = &mut connections[key];
            let next = if event.is_readable() || echo.is_blocked() {
                echo.drain(&*stream, &mut buffer, Drained::AtWouldBlock)
            } else {
                Next::Read
            };
            if next == Next::Closed {
                poll.registry().deregister(stream)?;
                connections.remove(key);
            }
        }
    }
}

fn accept_all(
    registry: &Registry,
    listener: &TcpListener,
    connections: &mut Slab<(TcpStream, Echo)>,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _peer)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let slot = connections.vacant_entry();
        let interest = Interest::READABLE.add(Interest::WRITABLE);
        registry.register(&mut stream, Token(slot.key()), interest)?;
        slot.insert((stream, Echo::default()));
    }
}
