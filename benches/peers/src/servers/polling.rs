//! The polling crate, as its `two-listeners` example: oneshot, so each event is armed again.

use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use polling::{Event, Events, Poller};
use slab::Slab;

use super::echo::{Echo, Next};

/// `usize::MAX` is the poller's own.
const LISTENER: usize = usize::MAX - 1;

pub fn serve() -> Result<()> {
    let listener = TcpListener::bind(super::ADDRESS)?;
    listener.set_nonblocking(true)?;
    let poller = Poller::new()?;
    // SAFETY: a source has to be deleted before it is dropped; the listener lives as long as
    // the poller, since the loop below ends with the process or an error that drops both.
    unsafe { poller.add(&listener, Event::readable(LISTENER))? };
    super::announce(listener.local_addr()?)?;

    let mut connections: Slab<(TcpStream, Echo)> = Slab::new();
    let mut buffer = [0; super::BUFFER];
    let mut events = Events::new();
    loop {
        events.clear();
        poller.wait(&mut events, None)?;
        for event in events.iter() {
            if event.key == LISTENER {
                let (stream, _peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let slot = connections.vacant_entry();
                // SAFETY: as above; a stream leaves the slab only after `delete`.
                unsafe { poller.add(&stream, Event::readable(slot.key()))? };
                slot.insert((stream, Echo::default()));
                poller.modify(&listener, Event::readable(LISTENER))?;
                continue;
            }
            let (stream, echo) = &mut connections[event.key];
            match echo.step(&*stream, &mut buffer) {
                Next::Read => poller.modify(&*stream, Event::readable(event.key))?,
                Next::Write => poller.modify(&*stream, Event::writable(event.key))?,
                Next::Closed => {
                    poller.delete(&*stream)?;
                    connections.remove(event.key);
                }
            }
        }
    }
}
