//! The reference: what somebody would write by hand for the fewest system calls. A connection
//! is registered once, for both directions and by edge; one read and one write per message.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use anyhow::Result;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use slab::Slab;

use super::echo::{Drained, Echo, Next};

const LISTENER: u64 = u64::MAX;

pub fn serve() -> Result<()> {
    let listener = TcpListener::bind(super::ADDRESS)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let flags = EventFlags::IN | EventFlags::ET;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), flags)?;
    super::announce(listener.local_addr()?)?;

    let mut connections = Slab::new();
    let mut buffer = [0; super::BUFFER];
    let mut events = Vec::with_capacity(1024);
    loop {
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Err(Errno::INTR) => continue,
            result => result?,
        };
        for event in events.drain(..) {
            let key = event.data.u64();
            if key == LISTENER {
                accept_all(&epoll, &listener, &mut connections)?;
            } else if handle(&mut connections[key as usize], event.flags, &mut buffer)
                == Next::Closed
            {
                connections.remove(key as usize);
            }
        }
    }
}

fn accept_all(
    epoll: &OwnedFd,
    listener: &TcpListener,
    connections: &mut Slab<(TcpStream, Echo)>,
) -> Result<()> {
    loop {
        let stream = match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(stream) => TcpStream::from(stream),
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        stream.set_nodelay(true)?;
        let slot = connections.vacant_entry();
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(epoll, &stream, EventData::new_u64(slot.key() as u64), flags)?;
        slot.insert((stream, Echo::default()));
    }
}

fn handle((stream, echo): &mut (TcpStream, Echo), flags: EventFlags, buffer: &mut [u8]) -> Next {
    // With a hang-up there is an end to be read after the data.
    let hang_up = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
    let drained =
        if flags.intersects(hang_up) { Drained::AtWouldBlock } else { Drained::AtShortRead };
    if flags.contains(EventFlags::IN) || flags.intersects(hang_up) || echo.is_blocked() {
        echo.drain(stream, buffer, drained)
    } else {
        Next::Read
    }
}
