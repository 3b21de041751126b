//! The echo client as one async task that sends and receives at the same time.
//!
//! Run it with `cargo run --example echo_client -- [ADDR] [MESSAGE]...` while `echo_server` runs in
//! another terminal; ADDR is 127.0.0.1:9999 if not given, and the messages are the document's. It
//! prints `connecting to 127.0.0.1 port 9999`, `  sending …`, `  received …`, and when it has back
//! all that it sent, and the server has closed, `shutting down`.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::Async;

async fn talk(address: SocketAddr, messages: &[String]) -> io::Result<()> {
    println!("connecting to {} port {}", address.ip(), address.port());
    let stream = Async::<TcpStream>::connect(address).await?;
    // One after the other would do for a few bytes. For many it would not: a server that is not
    // read from stops reading.
    let ((), received) = futures::try_join!(send(&stream, messages), receive(&stream))?;
    let sent = messages.concat();
    if received != sent.as_bytes() {
        let text = format!("sent {} bytes; {} came back, or others", sent.len(), received.len());
        return Err(io::Error::other(text));
    }
    println!("shutting down");
    Ok(())
}

/// Sends all messages, and then says that there are no more.
async fn send(mut stream: &Async<TcpStream>, messages: &[String]) -> io::Result<()> {
    for message in messages {
        println!("  sending b'{}'", message.as_bytes().escape_ascii());
        stream.write_all(message.as_bytes()).await?;
    }
    stream.close().await // The write side: the echo can still come.
}

/// Receives until the server has said that there is no more.
async fn receive(mut stream: &Async<TcpStream>) -> io::Result<Vec<u8>> {
    let (mut received, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(received);
        }
        println!("  received b'{}'", buffer[..count].escape_ascii());
        received.extend_from_slice(&buffer[..count]);
    }
}

fn run(address: &str, messages: &[String]) -> io::Result<()> {
    let address = address.parse().map_err(io::Error::other)?;
    selkie::block_on(talk(address, messages))
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9999".to_owned());
    let mut messages: Vec<_> = arguments.collect();
    if messages.is_empty() {
        messages = ["This is the message. ", "It will be repeated."].map(String::from).into();
    }
    let Err(error) = run(&address, &messages) else { return ExitCode::SUCCESS };
    eprintln!("cannot talk to {address}: {error}; try `echo_server {address}` first");
    ExitCode::FAILURE
}
