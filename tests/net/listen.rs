//! Listeners with options, and connections of a socket of one's own.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use selkie::net::{self, connect_from};
use selkie::{Async, timeout};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::util::sockets::nobody_listens;
use crate::util::{is_nonblocking, run};

fn address_of(listener: &Async<TcpListener>) -> SocketAddr {
    listener.get_ref().local_addr().unwrap()
}

#[test]
fn a_listener_without_options_is_as_usual() {
    run(async || {
        let listener = net::listen("127.0.0.1:0").bind().unwrap();
        let socket = SockRef::from(&listener);
        assert!(socket.reuse_address().unwrap());
        assert!(!socket.reuse_port().unwrap());
        let client = Async::<TcpStream>::connect(address_of(&listener)).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        assert_eq!(client.get_ref().local_addr().unwrap(), peer);
        assert!(!stream.nodelay().unwrap());
        assert!(is_nonblocking(&stream) && is_nonblocking(&listener));
    });
}

#[test]
fn accepted_connections_inherit_nodelay_from_their_listener() {
    run(async || {
        let listener = net::listen("127.0.0.1:0").nodelay(true).bind().unwrap();
        let _client = TcpStream::connect(address_of(&listener)).unwrap();
        assert!(listener.accept().await.unwrap().0.nodelay().unwrap());
    });
}

#[test]
fn two_listeners_share_an_address_if_both_reuse_the_port() {
    run(async || {
        let one = net::listen("127.0.0.1:0").reuse_port(true).bind().unwrap();
        let address = address_of(&one);
        let other = net::listen(address).reuse_port(true).bind().unwrap();
        assert_eq!(address_of(&other), address);
        let error = net::listen(address).bind().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn an_address_in_time_wait_is_taken_by_who_reuses_it() {
    run(async || {
        let listener = net::listen("127.0.0.1:0").bind().unwrap();
        let address = address_of(&listener);
        let client = TcpStream::connect(address).unwrap();
        // This end closes first, so this end is the one in TIME_WAIT.
        drop(listener.accept().await.unwrap());
        drop(listener);
        drop(client);
        let error = net::listen(address).reuse_address(false).bind().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        net::listen(address).reuse_address(true).bind().unwrap();
    });
}

#[test]
fn the_backlog_is_how_many_may_wait() {
    run(async || {
        let listener = net::listen("127.0.0.1:0").backlog(1).bind().unwrap();
        let address = address_of(&listener);
        // Linux takes one more than it is told.
        let _waiting = [(); 2].map(|()| TcpStream::connect(address).unwrap());
        let third = Async::<TcpStream>::connect(address);
        timeout(Duration::from_millis(30), third).await.expect_err("nobody answers it");
        net::listen("127.0.0.1:0").backlog(u32::MAX).bind().unwrap();
    });
}

#[test]
fn the_first_free_one_of_several_addresses_is_listened_on() {
    run(async || {
        let (_socket, taken) = nobody_listens(Ipv4Addr::LOCALHOST);
        let free = SocketAddr::from(([127, 0, 0, 2], 0));
        let listener = net::listen([taken, free]).bind().unwrap();
        assert_eq!(address_of(&listener).ip(), free.ip());
    });
}

/// A socket bound to an address of its own, which blocks.
fn bound() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 3], 0)))).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn a_socket_of_ones_own_is_connected_from_where_it_is_bound() {
    run(async || {
        let listener = Async::<TcpListener>::bind("127.0.0.1:0").unwrap();
        let (socket, own) = bound();
        socket.set_tcp_nodelay(true).unwrap();
        let stream = connect_from(socket, address_of(&listener)).await.unwrap();
        assert!(is_nonblocking(&stream));
        assert!(stream.nodelay().unwrap());
        assert_eq!(stream.get_ref().local_addr().unwrap(), own);
        let (_accepted, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, own);
    });
}

#[test]
fn a_socket_of_ones_own_tries_the_first_address_of_its_family() {
    run(async || {
        let listener = Async::<TcpListener>::bind("127.0.0.1:0").unwrap();
        let address = address_of(&listener);
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
        let stream = connect_from(bound().0, [six, address]).await.unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap(), address);
        let (_socket, refuses) = nobody_listens(Ipv4Addr::LOCALHOST);
        let error = connect_from(bound().0, [refuses, address]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = connect_from(bound().0, six).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let port = address.port();
        assert_eq!(
            error.to_string(),
            format!(
                "[::1]:{port} has no IPv4 address, and the socket takes no other; open one of the \
                 other family"
            )
        );
    });
}
