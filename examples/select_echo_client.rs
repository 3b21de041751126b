//! The document's echo client: an explicit loop that looks at the mask of each event.
//!
//! Run it with `cargo run --example select_echo_client -- [ADDR] [MESSAGE]...` while
//! `select_echo_server` runs in another terminal; ADDR is 127.0.0.1:9999 if not given, and the
//! messages are the document's. It prints `connecting to 127.0.0.1 port 9999`, `waiting for I/O`,
//! `client(…)`, `  ready to write`, `  sending …`, `  ready to read`, `  received …`,
//! `  switching to read-only`, and when it has back all that it sent `shutting down`.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use selkie::{DefaultSelector, Events, Interest};

const SECOND: Duration = Duration::from_secs(1);

fn talk(address: &str, mut outgoing: VecDeque<String>) -> io::Result<()> {
    let mut selector = DefaultSelector::new()?;
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "missing"));
    println!("connecting to {host} port {port}");
    // Connecting blocks, so the socket becomes non-blocking after it.
    let stream = TcpStream::connect(address)?;
    stream.set_nonblocking(true)?;
    let peer = stream.peer_addr()?;
    selector.register(stream, Interest::READ | Interest::WRITE, ())?;

    let mut events = Events::new();
    let mut unsent = VecDeque::new();
    let (mut bytes_sent, mut bytes_received) = (0, 0);
    let mut keep_running = true;
    while keep_running {
        println!("waiting for I/O");
        for (key, mask) in selector.select(&mut events, Some(SECOND))? {
            println!("client(('{}', {}))", peer.ip(), peer.port());
            let mut connection = &selector[key].source;

            if mask.is_readable() {
                println!("  ready to read");
                let mut buffer = [0; 1024];
                match connection.read(&mut buffer) {
                    Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Ok(count) => {
                        println!("  received b'{}'", buffer[..count].escape_ascii());
                        bytes_received += count;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }

            if mask.is_writable() {
                println!("  ready to write");
                if unsent.is_empty()
                    && let Some(message) = outgoing.pop_front()
                {
                    println!("  sending b'{}'", message.as_bytes().escape_ascii());
                    unsent.extend(message.into_bytes());
                }
                if unsent.is_empty() {
                    // We are out of messages: from now on only replies matter.
                    println!("  switching to read-only");
                    selector.modify(key, Interest::READ)?;
                } else {
                    // Python's `sendall`, without blocking: the rest waits for the next event.
                    match connection.write(unsent.as_slices().0) {
                        Ok(count) => bytes_sent += unsent.drain(..count).count(),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
            }

            let all_sent = outgoing.is_empty() && unsent.is_empty() && bytes_sent > 0;
            keep_running = !(all_sent && bytes_received == bytes_sent);
        }
    }
    println!("shutting down");
    Ok(()) // Dropping the selector closes the socket that it owns.
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9999".to_owned());
    let mut messages: VecDeque<_> = arguments.filter(|message| !message.is_empty()).collect();
    if messages.is_empty() {
        messages = ["This is the message. ", "It will be repeated."].map(String::from).into();
    }
    let Err(error) = talk(&address, messages) else { return ExitCode::SUCCESS };
    eprintln!("cannot talk to {address}: {error}; try `select_echo_server {address}` first");
    ExitCode::FAILURE
}
