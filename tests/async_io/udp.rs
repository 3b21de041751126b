//! `Async<UdpSocket>`.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::pin::pin;

use selkie::{Async, yield_now};

use crate::util::{Stepped, Watcher, run};

fn socket() -> (Async<UdpSocket>, SocketAddr) {
    let socket = Async::<UdpSocket>::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.get_ref().local_addr().unwrap();
    (socket, address)
}

/// Two sockets that are connected to each other.
fn connected() -> (Async<UdpSocket>, Async<UdpSocket>) {
    let ((one, one_address), (other, other_address)) = (socket(), socket());
    one.get_ref().connect(other_address).unwrap();
    other.get_ref().connect(one_address).unwrap();
    (one, other)
}

#[test]
fn a_datagram_arrives_with_its_sender() {
    run(async || {
        let ((one, one_address), (other, other_address)) = (socket(), socket());
        let mut buf = [0; 8];
        let send = async {
            yield_now().await;
            assert_eq!(one.send_to(b"hello", other_address).await.unwrap(), 5);
        };
        let (received, ()) = futures::join!(other.recv_from(&mut buf), send);
        assert_eq!(received.unwrap(), (5, one_address));
        assert_eq!(&buf[..5], b"hello");
    });
}

#[test]
fn connected_sockets_send_and_receive_and_hear_nobody_else() {
    run(async || {
        let (one, other) = connected();
        let (stranger, _) = socket();
        let address = other.get_ref().local_addr().unwrap();
        stranger.send_to(b"stranger", address).await.unwrap();
        let mut buf = [0; 8];
        let send = async {
            yield_now().await;
            assert_eq!(one.send(b"friend").await.unwrap(), 6);
        };
        let (len, ()) = futures::join!(other.recv(&mut buf), send);
        assert_eq!((len.unwrap(), &buf[..6]), (6, &b"friend"[..]));
        let (len, sender) = {
            one.send(b"x").await.unwrap();
            other.recv_from(&mut buf).await.unwrap()
        };
        assert_eq!((len, sender), (1, one.get_ref().local_addr().unwrap()));
    });
}

#[test]
fn a_datagram_longer_than_the_buffer_is_cut_and_the_next_one_is_whole() {
    run(async || {
        let (one, other) = connected();
        let mut buf = [0; 4];
        for text in [&b"too long"[..], b"next", b"long again", b"last"] {
            one.send(text).await.unwrap();
        }
        for text in [b"too ", b"next", b"long", b"last"] {
            assert_eq!(other.recv(&mut buf).await.unwrap(), 4);
            assert_eq!(&buf, text);
        }
    });
}

#[test]
fn an_empty_datagram_is_a_datagram() {
    run(async || {
        let (one, other) = connected();
        let send = async {
            yield_now().await;
            assert_eq!(one.send(b"").await.unwrap(), 0);
            one.send(b"x").await.unwrap();
        };
        let mut buf = [0; 4];
        let (len, ()) = futures::join!(other.recv(&mut buf), send);
        assert_eq!(len.unwrap(), 0);
        assert_eq!(other.recv(&mut buf).await.unwrap(), 1);
    });
}

#[test]
fn peek_leaves_the_datagram_in_the_queue() {
    run(async || {
        let (one, other) = connected();
        let mut buf = [0; 8];
        let send = async {
            yield_now().await;
            one.send(b"hello").await.unwrap();
        };
        let (len, ()) = futures::join!(other.peek(&mut buf), send);
        assert_eq!(len.unwrap(), 5);
        let sender = one.get_ref().local_addr().unwrap();
        assert_eq!(other.peek_from(&mut buf).await.unwrap(), (5, sender));
        assert_eq!(other.peek_from(&mut buf[..2]).await.unwrap(), (2, sender));
        assert_eq!(other.recv(&mut buf).await.unwrap(), 5);
    });
}

#[test]
fn datagrams_that_came_in_one_event_are_all_received() {
    run(async || {
        let (one, other) = connected();
        let send = async {
            yield_now().await;
            for i in 0..50 {
                one.send(&[i]).await.unwrap();
            }
        };
        let receive = async {
            for i in 0..50 {
                let mut buf = [0; 2];
                assert_eq!(other.recv(&mut buf).await.unwrap(), 1);
                assert_eq!(buf[0], i);
            }
        };
        futures::join!(receive, send);
    });
}

#[test]
fn what_a_peer_that_does_not_listen_answers_is_told_to_whoever_asks_next() {
    run(async || {
        let (one, other) = connected();
        drop(other);
        one.send(b"x").await.unwrap();
        let refused = ErrorKind::ConnectionRefused;
        assert_eq!(one.recv(&mut [0; 8]).await.unwrap_err().kind(), refused);
        one.send(b"x").await.unwrap();
        assert_eq!(one.send(b"x").await.unwrap_err().kind(), refused);
        one.send(b"x").await.unwrap();
        one.readable().await.unwrap();
        assert_eq!(one.peek(&mut [0; 8]).await.unwrap_err().kind(), refused);
    });
}

#[test]
fn a_datagram_that_cannot_be_sent_is_an_error() {
    run(async || {
        let (one, address) = socket();
        let error = one.send(b"x").await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::DESTADDRREQ.raw_os_error()));
        let error = one.send_to(&[0; 70_000], address).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::MSGSIZE.raw_os_error()));
    });
}

#[test]
fn a_receiver_and_a_sender_wait_for_one_socket_at_once() {
    let stepped = Stepped::new();
    let (one, other) = stepped.enter(connected);
    let watcher = Watcher::new();
    let mut buf = [0; 8];
    let mut receive = pin!(one.recv(&mut buf));
    assert!(stepped.poll(receive.as_mut(), &watcher).is_pending());
    assert!(stepped.poll(pin!(one.send(b"out")), &watcher).is_ready());
    assert!(stepped.poll(pin!(other.send(b"in")), &watcher).is_ready());
    assert_eq!(stepped.finish(receive, &watcher).unwrap(), 2);
    assert!(stepped.poll(pin!(other.recv(&mut [0; 8])), &watcher).is_ready());
}

#[test]
fn a_connected_socket_hears_its_peer_alone_until_it_is_connected_anew() {
    run(async || {
        let [one, other, third] =
            [(); 3].map(|()| Async::<UdpSocket>::bind("127.0.0.1:0").unwrap());
        let [first, second] = [&other, &third].map(|socket| socket.local_addr().unwrap());
        one.connect(first).unwrap();
        let address = one.local_addr().unwrap();
        third.send_to(b"ignored", address).await.unwrap();
        other.send_to(b"heard", address).await.unwrap();
        let mut buf = [0; 8];
        assert_eq!(one.recv(&mut buf).await.unwrap(), 5);
        one.connect(second).unwrap();
        assert_eq!(one.peer_addr().unwrap(), second);
        one.send(b"hello").await.unwrap();
        assert_eq!(third.recv(&mut buf).await.unwrap(), 5);
    });
}
