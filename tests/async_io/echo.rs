//! The seed's echo as async tasks: many connections, random sizes, half-closed ends.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;

use futures::channel::oneshot;
use futures::io::{AsyncReadExt, AsyncWriteExt, copy};
use futures::{StreamExt, TryStreamExt, future};
use selkie::{Async, Builder, Task, yield_now};

use crate::util::numbers::Numbers;
use crate::util::{on_own_thread, run};

const CONNECTIONS: u64 = 200;

/// Serves for ever; closes its side when the client has closed its own.
fn server() -> (SocketAddr, Task<()>) {
    let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.get_ref().local_addr().unwrap();
    let serve = async move {
        let mut incoming = listener.incoming();
        while let Some(accepted) = incoming.next().await {
            let (stream, _) = accepted.unwrap();
            let echo = async move {
                copy(&stream, &mut &stream).await.unwrap();
                (&stream).close().await.unwrap();
            };
            selkie::spawn(echo).detach();
        }
    };
    (address, selkie::spawn(serve))
}

/// Sends bytes in pieces of random sizes, half-closes, and compares all that comes back.
async fn client(address: SocketAddr, seed: u64) {
    let mut numbers = Numbers::new(seed);
    let len = 1 + numbers.below(100_000);
    let bytes = numbers.bytes(len);
    let stream = Async::<TcpStream>::connect(address).await.unwrap();
    let write = async {
        let mut left = &bytes[..];
        while !left.is_empty() {
            let (piece, rest) = left.split_at(left.len().min(1 + numbers.below(20_000)));
            (&stream).write_all(piece).await.unwrap();
            left = rest;
            if seed.is_multiple_of(3) {
                yield_now().await;
            }
        }
        (&stream).close().await.unwrap();
    };
    let mut echoed = Vec::new();
    let mut reader = &stream;
    let (read, ()) = future::join(reader.read_to_end(&mut echoed), write).await;
    assert_eq!(read.unwrap(), bytes.len(), "connection {seed}");
    assert!(echoed == bytes, "connection {seed}: the echo differs");
}

#[test]
fn two_hundred_connections_at_once_get_their_own_bytes_back() {
    run(async || {
        let (address, _server) = server();
        let clients: Vec<_> =
            (0..CONNECTIONS).map(|seed| selkie::spawn(client(address, seed))).collect();
        future::join_all(clients).await;
    });
}

#[test]
fn the_smallest_settings_serve_as_well() {
    on_own_thread(|| {
        let runtime = Builder::new()
            .event_capacity(1)
            .polls_per_turn(1)
            .operations_per_poll(1)
            .build()
            .unwrap();
        let all = async {
            let (address, _server) = server();
            future::join_all((0..20).map(|seed| client(address, seed))).await;
        };
        runtime.block_on(all);
    });
}

#[test]
fn clients_on_other_threads_are_served_as_well() {
    run(async || {
        let (address, server) = server();
        let (done, all_done) = oneshot::channel();
        let remote = thread::spawn(move || {
            let clients = (0..8_u64).map(|seed| {
                thread::spawn(move || {
                    let mut numbers = Numbers::new(1_000 + seed);
                    let mut stream = TcpStream::connect(address).unwrap();
                    for _ in 0..200 {
                        let len = 1 + numbers.below(4_000);
                        let bytes = numbers.bytes(len);
                        stream.write_all(&bytes).unwrap();
                        let mut echoed = vec![0; len];
                        stream.read_exact(&mut echoed).unwrap();
                        assert!(echoed == bytes);
                    }
                    stream.write_all(b"last words").unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                    let mut echoed = String::new();
                    stream.read_to_string(&mut echoed).unwrap();
                    assert_eq!(echoed, "last words");
                })
            });
            let clients: Vec<_> = clients.collect();
            clients.into_iter().for_each(|client| client.join().unwrap());
            done.send(()).unwrap();
        });
        all_done.await.unwrap();
        remote.join().unwrap();
        assert!(!server.is_finished());
    });
}

#[test]
fn a_client_that_half_closes_at_once_gets_its_last_bytes() {
    run(async || {
        let (address, _server) = server();
        let one = async |seed: u64| {
            let bytes = Numbers::new(seed).bytes(1 + seed as usize * 97);
            let mut stream = Async::<TcpStream>::connect(address).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.close().await.unwrap();
            let mut echoed = Vec::new();
            stream.read_to_end(&mut echoed).await.unwrap();
            assert!(echoed == bytes, "connection {seed}: the echo differs");
        };
        future::join_all((0..CONNECTIONS).map(one)).await;
    });
}

#[test]
fn lines_go_back_and_forth_over_unix_sockets() {
    run(async || {
        let pairs = (0..50).map(|_| Async::<UnixStream>::pair().unwrap());
        let conversations = pairs.map(|(near, far)| async move {
            let echo = async {
                copy(&far, &mut &far).await.unwrap();
                (&far).close().await.unwrap();
            };
            let talk = async {
                for i in 0..100_u32 {
                    let text = format!("message {i}");
                    (&near).write_all(text.as_bytes()).await.unwrap();
                    let mut echoed = vec![0; text.len()];
                    (&near).read_exact(&mut echoed).await.unwrap();
                    assert_eq!(echoed, text.as_bytes());
                }
                (&near).close().await.unwrap();
                assert_eq!((&near).read(&mut [0; 8]).await.unwrap(), 0);
            };
            future::join(echo, talk).await;
            Ok::<_, std::io::Error>(())
        });
        let all = futures::stream::iter(conversations).buffer_unordered(50);
        all.try_collect::<Vec<_>>().await.unwrap();
    });
}
