//! Echoes that come in pieces, and peers that do not take what is sent to them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use selkie::{DefaultSelector, Events, Interest};
use socket2::{Domain, Socket, Type};

use super::process::{PATIENCE, Program, Stream};

/// Small enough that neither side's buffers hold what the tests send. Bytes.
const SMALL: usize = 4 * 1024;

/// Keeps a loopback connection from taking segments, and with them buffers, of 64 KiB. Bytes.
const SEGMENT: u32 = 1000;

fn socket_with_small_buffers() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(SMALL).unwrap();
    socket.set_send_buffer_size(SMALL).unwrap();
    socket.set_tcp_mss(SEGMENT).unwrap();
    socket
}

fn connect_with_small_buffers(server: SocketAddr) -> TcpStream {
    let socket = socket_with_small_buffers();
    socket.connect(&server.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

/// Bytes without a period that a lost or doubled piece could hide in.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

/// Writes until the connection takes no more; returns how much it took.
fn stuff(mut connection: &TcpStream, bytes: &[u8]) -> usize {
    let mut taken = 0;
    loop {
        match connection.write(&bytes[taken..]) {
            Ok(0) => return taken,
            Ok(count) => taken += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return taken,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Writes until the server says that it cannot get rid of its echo; returns how much it took. For
/// a while the server may make room as fast as it is filled.
fn stuff_until_stuck(server: &mut Program, connection: &TcpStream, bytes: &[u8]) -> usize {
    let patience = Instant::now() + PATIENCE;
    let mut sent = 0;
    loop {
        sent += stuff(connection, &bytes[sent..]);
        let soon = Instant::now() + Duration::from_millis(20);
        let is_stuck = |line: &str| line.starts_with("  waiting to send ");
        if server.find_by(soon, Stream::Out, is_stuck).is_ok() {
            return sent;
        }
        assert!(Instant::now() < patience, "{sent} bytes do not fill the server");
    }
}

/// Sends the rest of `bytes` from `sent` on and takes the echo of all of them, as either can be.
fn exchange(connection: &TcpStream, bytes: &[u8], mut sent: usize) -> Vec<u8> {
    let mut selector = DefaultSelector::new().unwrap();
    let key = selector.register(connection, Interest::READ | Interest::WRITE, ()).unwrap();
    let (mut events, mut echo, mut buffer) = (Events::new(), Vec::new(), [0; 2048]);
    while echo.len() < bytes.len() {
        let ready = selector.select(&mut events, Some(PATIENCE)).unwrap();
        let mut is_silent = true;
        for (_, readiness) in ready {
            is_silent = false;
            if readiness.is_readable() {
                let count = { connection }.read(&mut buffer).unwrap();
                assert_ne!(count, 0, "hung up after {} bytes", echo.len());
                echo.extend_from_slice(&buffer[..count]);
            }
            if readiness.is_writable() {
                sent += stuff(connection, &bytes[sent..]);
            }
            if sent == bytes.len() {
                selector.modify(key, Interest::READ).unwrap();
            }
        }
        assert!(!is_silent, "nothing for {PATIENCE:?} after {} of {sent} bytes", echo.len());
    }
    echo
}

#[test]
fn a_mebibyte_through_small_buffers_comes_back_byte_for_byte() {
    let mut server = Program::example("select_echo_server", &["127.0.0.1:0"]);
    let connection = connect_with_small_buffers(server.address());
    let bytes = noise(1024 * 1024);

    // The client does not read, so the server cannot get rid of its echo.
    let sent = stuff_until_stuck(&mut server, &connection, &bytes);
    assert!(exchange(&connection, &bytes, sent) == bytes, "other bytes came back");
    drop(connection);
    let server = server.end();
    assert!(server.status.success(), "{:?}", server.err);
}

#[test]
fn a_client_that_does_not_read_holds_up_no_other_and_is_read_no_further() {
    let mut server = Program::example("select_echo_server", &["127.0.0.1:0", "--keep-running"]);
    let address = server.address();
    let stuck = connect_with_small_buffers(address);
    let bytes = noise(1024 * 1024);
    let mut sent = stuff_until_stuck(&mut server, &stuck, &bytes);
    // Each client served is a chance for the server to read on. In the end it must not, though
    // we go on sending.
    let reading = format!("read(('127.0.0.1', {}))", stuck.local_addr().unwrap().port());
    let mut reads = 1;
    while reads > 0 {
        sent += stuff(&stuck, &bytes[sent..]);
        let client = Program::example("select_echo_client", &[&address.to_string()]).end();
        assert!(client.status.success(), "{:?}", client.err);
        reads = 0;
        server.wait_for(Stream::Out, |line| {
            reads += usize::from(line == reading);
            line == "  closing"
        });
    }
    assert!(sent < bytes.len() / 2, "{sent} bytes went into a connection that nobody reads");
    assert!(exchange(&stuck, &bytes, sent) == bytes, "other bytes came back");
}

#[test]
fn the_client_waits_for_an_echo_that_comes_in_pieces() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut client = Program::example("select_echo_client", &[&address]);
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    server.set_nodelay(true).unwrap();

    let mut message = [0; 21];
    server.read_exact(&mut message).unwrap();
    let mut rest = [0; 20];
    server.read_exact(&mut rest).unwrap();
    for piece in message.chunks(8).chain(rest.chunks(8)) {
        server.write_all(piece).unwrap();
        let received = client.wait_for_line("  received ");
        assert_eq!(received, format!("  received b'{}'", piece.escape_ascii()));
    }
    let client = client.end();
    assert!(client.status.success(), "{:?}", client.err);
    assert_eq!(client.out.last().unwrap(), "shutting down");
}

#[test]
fn two_hundred_messages_all_come_back() {
    let mut server = Program::example("select_echo_server", &["127.0.0.1:0"]);
    let messages: Vec<_> = (0..200).map(|number| format!("message {number};")).collect();
    let address = server.address().to_string();
    let arguments: Vec<_> = std::iter::once(&address).chain(&messages).map(|s| &**s).collect();
    let client = Program::example("select_echo_client", &arguments).end();
    assert!(client.status.success(), "{:?}", client.err);
    let received = |line: &String| Some(line.strip_prefix("  received b'")?.len() - 1);
    let bytes: usize = client.out.iter().filter_map(received).sum();
    assert_eq!(bytes, messages.concat().len());
    assert!(server.end().status.success());
}

#[test]
fn the_client_keeps_what_a_full_connection_does_not_take() {
    let socket = socket_with_small_buffers();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(1).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap().to_string();
    let messages: Vec<_> = ('a'..='j').map(|letter| letter.to_string().repeat(100_000)).collect();
    let arguments: Vec<_> = std::iter::once(&address).chain(&messages).map(|s| &**s).collect();
    let mut client = Program::example("select_echo_client", &arguments);
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    server.set_write_timeout(Some(PATIENCE)).unwrap();

    // It waits a second in vain: the connection is full.
    let mut previous = String::new();
    client.wait_for(Stream::Out, |line| {
        let is_idle = line == "waiting for I/O" && previous == line;
        line.clone_into(&mut previous);
        is_idle
    });
    let expected = messages.concat();
    let mut received = Vec::new();
    let mut buffer = [0; 8192];
    while received.len() < expected.len() {
        let count = server.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "hung up after {} bytes", received.len());
        server.write_all(&buffer[..count]).unwrap();
        received.extend_from_slice(&buffer[..count]);
    }
    assert!(received == expected.as_bytes(), "other bytes arrived");
    let client = client.end();
    assert!(client.status.success(), "{:?}", client.err);
}
