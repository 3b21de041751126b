//! What the suites have in common.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::net::nonblocking;
use selkie::{Async, DefaultSelector, Events, Interest};
use selkie_sim::Sim;

/// What hosts tell the test, in their order.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Sends everything back, to any number of clients.
pub async fn echo_server() -> io::Result<()> {
    let listener = Async::<TcpListener>::bind("0.0.0.0:7")?;
    loop {
        // Out of descriptors, for example.
        let Ok((stream, _)) = listener.accept().await else { continue };
        selkie::spawn(async move {
            let _ = futures::io::copy(&stream, &mut &stream).await;
        })
        .detach();
    }
}

/// As [`echo_server`], with an explicit loop.
pub fn loop_server() -> io::Result<()> {
    let mut selector = DefaultSelector::<Socket>::new()?;
    let listener = nonblocking::listen("0.0.0.0:7")?;
    let coming = selector.register(Socket::Listener(listener), Interest::READ, ())?;
    let mut events = Events::new();
    loop {
        let ready: Vec<_> = selector.select(&mut events, None)?.map(|(key, _)| key).collect();
        for key in ready {
            if key == coming {
                let Socket::Listener(listener) = &selector[coming].source else { continue };
                if let Ok((stream, _)) = nonblocking::accept(listener) {
                    selector.register(Socket::Stream(stream), Interest::READ, ())?;
                }
            } else if !answer(&selector[key].source) {
                selector.unregister(key)?;
            }
        }
    }
}

enum Socket {
    Listener(TcpListener),
    Stream(TcpStream),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Listener(listener) => listener.as_fd(),
            Self::Stream(stream) => stream.as_fd(),
        }
    }
}

/// Sends back what is there. False if the client is to be given up.
fn answer(socket: &Socket) -> bool {
    let Socket::Stream(stream) = socket else { return false };
    let mut stream = stream;
    let mut buf = [0; 4096];
    match stream.read(&mut buf) {
        Ok(len @ 1..) => stream.write_all(&buf[..len]).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        Ok(_) => false,
    }
}

/// Sends messages of `len` bytes to the server and reads each back.
pub async fn echo_client(
    server: &str,
    len: usize,
    messages: u32,
    pause: Duration,
) -> io::Result<()> {
    let mut stream = Async::<TcpStream>::connect((server, 7)).await?;
    for number in 0..messages {
        let message = vec![number as u8; len];
        stream.write_all(&message).await?;
        let mut answer = vec![0; len];
        stream.read_exact(&mut answer).await?;
        assert_eq!(answer, message);
        selkie::sleep(pause).await;
    }
    Ok(())
}

/// An echo server and some clients.
pub fn echoes(seed: u64, clients: usize) -> Sim {
    let mut sim = Sim::new(seed);
    sim.host("server", echo_server);
    for client in 0..clients {
        let name = format!("client{client}");
        sim.host(name.as_str(), || echo_client("server", 1024, 20, Duration::from_millis(5)));
    }
    sim
}
