//! A hand-written level-triggered loop, as `man epoll` and Python's `selectors` have it: one
//! read per event, and interest follows what the connection waits for.

use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use slab::Slab;

use super::echo::{Echo, Next};

const LISTENER: u64 = u64::MAX;

struct Connection {
    stream: TcpStream,
    echo: Echo,
    interest: EventFlags,
}

pub fn serve() -> Result<()> {
    let listener = TcpListener::bind(super::ADDRESS)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
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
            let (data, key) = (event.data, event.data.u64() as usize);
            if data.u64() == LISTENER {
                let (stream, _peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let slot = connections.vacant_entry();
                let data = EventData::new_u64(slot.key() as u64);
                epoll::add(&epoll, &stream, data, EventFlags::IN)?;
                let interest = EventFlags::IN;
                slot.insert(Connection { stream, echo: Echo::default(), interest });
                continue;
            }
            let Connection { stream, echo, interest } = &mut connections[key];
            let wanted = match echo.step(&*stream, &mut buffer) {
                Next::Read => EventFlags::IN,
                Next::Write => EventFlags::OUT,
                Next::Closed => {
                    connections.remove(key);
                    continue;
                }
            };
            if wanted != *interest {
                epoll::modify(&epoll, &*stream, data, wanted)?;
                *interest = wanted;
            }
        }
    }
}
