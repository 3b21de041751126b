//! The end of a connection, in every order in which it can reach the async server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};

use futures::{AsyncReadExt, AsyncWriteExt, try_join};
use rustix::net::sockopt;
use selkie::Async;
use socket2::{Domain, Socket, Type};

use super::process::{PATIENCE, Program};

fn server() -> (Program, SocketAddr) {
    let mut server = Program::example("echo_server", &["127.0.0.1:0"]);
    let address = server.address();
    (server, address)
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn rest_of(mut stream: &TcpStream) -> String {
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the server answers, and hangs up");
    rest
}

#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    /// The server has answered once, and waits for more.
    AConversation,
}

#[test]
fn data_and_fin_in_one_edge_do_not_hang() {
    let (_server, address) = server();
    for run in 0..50 {
        for before in [Before::Nothing, Before::AConversation] {
            let mut stream = connect(address);
            if let Before::AConversation = before {
                stream.write_all(b"first").unwrap();
                stream.read_exact(&mut [0; 5]).unwrap();
            }
            // The cork keeps the bytes until the end of file can go with them, in one segment.
            sockopt::set_tcp_cork(&stream, true).unwrap();
            let last = format!("the last words of {run}");
            stream.write_all(last.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(rest_of(&stream), last, "{before:?}");
        }
    }
}

#[test]
fn a_client_that_half_closes_at_once_gets_its_last_bytes() {
    let (_server, address) = server();
    // All before the server has had a chance to accept any.
    let streams: Vec<_> = (0..50_u32).map(|number| (number, connect(address))).collect();
    for (number, stream) in &streams {
        { stream }.write_all(number.to_string().as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    }
    for (number, stream) in streams {
        assert_eq!(rest_of(&stream), number.to_string());
    }
}

#[test]
fn a_client_that_only_half_closes_reads_the_end_of_file() {
    let (_server, address) = server();
    let stream = connect(address);
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest_of(&stream), "");
}

/// Neither side's buffers hold what the test sends. Bytes.
const SMALL: usize = 4 * 1024;

#[test]
fn a_mebibyte_before_a_half_close_comes_back_through_small_buffers() {
    let (_server, address) = server();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(SMALL).unwrap();
    socket.set_send_buffer_size(SMALL).unwrap();
    socket.connect(&address.into()).unwrap();
    // Numbers of four bytes: no lost or doubled piece of any other length goes unseen.
    let sent: Vec<u8> = (0..256 * 1024_u32).flat_map(u32::to_le_bytes).collect();
    let received = selkie::block_on(async {
        let stream = Async::new(TcpStream::from(socket))?;
        let (mut reader, mut writer) = (&stream, &stream);
        let mut received = Vec::new();
        let send = async {
            writer.write_all(&sent).await?;
            writer.close().await
        };
        let all = async { try_join!(send, reader.read_to_end(&mut received)) };
        selkie::timeout(PATIENCE, all).await??;
        std::io::Result::Ok(received)
    });
    assert!(received.unwrap() == sent, "other bytes came back");
}

#[test]
fn the_async_client_takes_the_last_bytes_that_come_with_the_end() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Program::example("echo_client", &[&address, "message"]);
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let message = rest_of(&server);
    sockopt::set_tcp_cork(&server, true).unwrap();
    server.write_all(message.as_bytes()).unwrap();
    drop(server);
    let client = client.end();
    assert!(client.status.success(), "{:?}", client.err);
    assert_eq!(client.out[2..], ["  received b'message'", "shutting down"]);
}
