//! What the suites have in common.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::Async;
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
        let (stream, _) = listener.accept().await?;
        selkie::spawn(async move {
            let _ = futures::io::copy(&stream, &mut &stream).await;
        })
        .detach();
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
