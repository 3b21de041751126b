//! The second skin: the echo server as async tasks, of whose runtime `turn` takes one turn.

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, Runtime};

use super::Server;

pub struct TaskServer {
    runtime: Runtime,
    address: SocketAddr,
    /// Why a task has ended early, if one has. To share it takes no lock: there is one thread.
    failed: Rc<Cell<Option<io::Error>>>,
}

/// What the server may want to tell while it serves.
pub enum Happened<'a> {
    Accepted(SocketAddr),
    Received(SocketAddr, &'a [u8]),
    Closed(SocketAddr),
}

type Tell = fn(Happened<'_>);

impl TaskServer {
    pub fn bind(tell: Tell) -> io::Result<Self> {
        let runtime = Runtime::new()?;
        let listener = runtime.enter(|| Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.get_ref().local_addr()?;
        let failed = Rc::new(Cell::new(None));
        let failures = Rc::clone(&failed);
        let accepting = async move { note(&failures, accept(listener, tell, &failures).await) };
        runtime.spawn(accepting).detach();
        Ok(Self { runtime, address, failed })
    }
}

async fn accept(
    listener: Async<TcpListener>,
    tell: Tell,
    failed: &Rc<Cell<Option<io::Error>>>,
) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept().await?;
        let failed = Rc::clone(failed);
        selkie::spawn(async move { note(&failed, echo(stream, peer, tell).await) }).detach();
    }
}

async fn echo(mut stream: Async<TcpStream>, peer: SocketAddr, tell: Tell) -> io::Result<()> {
    tell(Happened::Accepted(peer));
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            tell(Happened::Closed(peer));
            return Ok(());
        }
        tell(Happened::Received(peer, &buffer[..count]));
        stream.write_all(&buffer[..count]).await?;
    }
}

fn note(failed: &Cell<Option<io::Error>>, ended: io::Result<()>) {
    if let Err(error) = ended {
        failed.set(Some(error));
    }
}

impl Server for TaskServer {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn turn(&mut self, timeout: Duration) -> io::Result<usize> {
        let turn = self.runtime.turn(Some(timeout))?;
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(turn.events + turn.polls),
        }
    }
}
