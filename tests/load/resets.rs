//! Peers that reset their connection (`SO_LINGER` of zero), at every stage of it, by the
//! thousand, while others are being served.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::try_join_all;
use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, Task, spawn, yield_now};
use socket2::SockRef;

use crate::harness::{bytes_of, count, is_reset, listener, run, tell, until};
use crate::util::{backend, fill, open_descriptors};

loads! {
    a_reset_at_every_stage_ends_that_connection_and_no_other,
}

/// Resets at each stage, in all and at a time.
const EACH: usize = 500;
const AT_ONCE: usize = 50;

/// Where the server is with the connection when the reset comes.
#[derive(Clone, Copy, Debug)]
enum Stage {
    BeforeAccept,
    /// Accepted, but not read yet.
    BeforeRead,
    /// In a read, of which one half has come.
    MidRead,
    /// In a write that the peer does not take.
    MidWrite,
    /// It has shut its side down, and waits for the end.
    AfterItsShutdown,
    /// It has read the end of the peer's side, and is in a write.
    AfterOurShutdown,
}

const STAGES: [Stage; 6] = [
    Stage::BeforeAccept,
    Stage::BeforeRead,
    Stage::MidRead,
    Stage::MidWrite,
    Stage::AfterItsShutdown,
    Stage::AfterOurShutdown,
];

/// A listener, and those who wait for it to accept them, in the order of their connects.
struct Door {
    address: SocketAddr,
    outside: RefCell<VecDeque<oneshot::Sender<Async<TcpStream>>>>,
}

impl Door {
    fn open() -> (Rc<Self>, Task<()>) {
        let (listener, address) = listener();
        let door = Rc::new(Self { address, outside: RefCell::default() });
        let keeper = spawn(Rc::clone(&door).keep(listener));
        (door, keeper)
    }

    async fn keep(self: Rc<Self>, listener: Async<TcpListener>) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let next = self.outside.borrow_mut().pop_front().unwrap();
            next.send(stream).unwrap();
        }
    }

    /// The client's end, and the server's in a while.
    fn knock(&self) -> (TcpStream, oneshot::Receiver<Async<TcpStream>>) {
        let client = TcpStream::connect(self.address).unwrap();
        let (sender, receiver) = oneshot::channel();
        self.outside.borrow_mut().push_back(sender);
        (client, receiver)
    }
}

fn reset(client: TcpStream) {
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Lets the server's side come to its wait, and resets then.
async fn reset_soon(client: TcpStream) -> io::Result<()> {
    for _ in 0..3 {
        yield_now().await;
    }
    reset(client);
    Ok(())
}

/// Writes more than is taken. That the system takes no more once need not be its last word: the
/// peer's side of it may make room a moment later.
async fn write_on(stream: &mut Async<TcpStream>) -> io::Result<usize> {
    fill(stream.get_ref());
    while stream.write(b"one byte more").await? > 0 {}
    Ok(0)
}

/// What the server is told.
async fn meet(door: Rc<Door>, stage: Stage) -> io::Result<usize> {
    let (mut client, accepted) = door.knock();
    if let Stage::BeforeAccept = stage {
        reset(client);
        return accepted.await.unwrap().read(&mut [0; 8]).await;
    }
    let mut server = accepted.await.unwrap();
    match stage {
        Stage::BeforeAccept => unreachable!(),
        Stage::BeforeRead => {
            reset(client);
            server.read(&mut [0; 8]).await
        }
        Stage::MidRead => {
            client.write_all(b"half")?;
            let mut message = [0; 8];
            futures::try_join!(server.read_exact(&mut message), reset_soon(client)).map(|_| 8)
        }
        Stage::MidWrite => {
            futures::try_join!(write_on(&mut server), reset_soon(client)).map(|(len, ())| len)
        }
        Stage::AfterItsShutdown => {
            server.close().await?;
            assert_eq!(client.read(&mut [0; 8])?, 0);
            let mut byte = [0; 8];
            futures::try_join!(server.read(&mut byte), reset_soon(client)).map(|(len, ())| len)
        }
        Stage::AfterOurShutdown => {
            client.shutdown(Shutdown::Write)?;
            assert_eq!(server.read(&mut [0; 8]).await?, 0);
            futures::try_join!(write_on(&mut server), reset_soon(client)).map(|(len, ())| len)
        }
    }
}

/// Echoes to a client of the same runtime, until it is told to stop; returns how many bytes.
async fn neighbour(door: Rc<Door>, is_over: Rc<Cell<bool>>) -> u64 {
    let (client, accepted) = door.knock();
    let (mut client, mut server) = (Async::new(client).unwrap(), accepted.await.unwrap());
    let mut place = 0;
    while !is_over.get() {
        let message = bytes_of(1, place, 100);
        client.write_all(&message).await.unwrap();
        let mut buffer = [0; 100];
        server.read_exact(&mut buffer).await.unwrap();
        server.write_all(&buffer).await.unwrap();
        buffer.fill(0);
        client.read_exact(&mut buffer).await.unwrap();
        assert!(message == buffer, "other bytes at {place}");
        place += 100;
        yield_now().await;
    }
    place
}

fn a_reset_at_every_stage_ends_that_connection_and_no_other() {
    run(async {
        let (door, _keeper) = Door::open();
        let before = open_descriptors();
        let is_over = Rc::new(Cell::new(false));
        let neighbour = spawn(neighbour(Rc::clone(&door), Rc::clone(&is_over)));
        let told = Rc::new(Cell::new(0_usize));
        for stage in STAGES {
            for _ in 0..EACH / AT_ONCE {
                let meetings = (0..AT_ONCE).map(|_| {
                    let (door, told) = (Rc::clone(&door), Rc::clone(&told));
                    spawn(async move {
                        let error = meet(door, stage).await.expect_err("it was reset");
                        assert!(is_reset(&error), "{stage:?}: {error}");
                        count(&told);
                        io::Result::Ok(())
                    })
                });
                let meetings: Vec<_> = meetings.collect();
                try_join_all(meetings).await.unwrap();
            }
        }
        is_over.set(true);
        let echoed = neighbour.await;
        assert!(echoed > 0);
        assert_eq!(told.get(), EACH * STAGES.len());
        until(|| open_descriptors() == before).await;
        let name = backend().name();
        tell(format_args!(
            "{name}: {} resets at {} stages, each told; {echoed} bytes echoed beside them",
            told.get(),
            STAGES.len()
        ));
    });
}
