//! The sockets of an explicit loop, in the system.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};

use selkie::net::nonblocking::{accept, connect, finish_connect, listen};
use selkie::{DefaultSelector, Events, Interest};

#[test]
fn a_connection_is_made_without_blocking_anywhere() {
    let listener = listen("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(accept(&listener).unwrap_err().kind(), ErrorKind::WouldBlock);
    let client = connect(address).unwrap();
    let mut selector = DefaultSelector::new().unwrap();
    let writable = selector.register(client, Interest::WRITE, ()).unwrap();
    selector.select(&mut Events::new(), None).unwrap();
    let (client, ()) = selector.unregister(writable).unwrap().into_parts();
    finish_connect(&client).unwrap();
    let mut selector = DefaultSelector::new().unwrap();
    let coming = selector.register(listener, Interest::READ, ()).unwrap();
    selector.select(&mut Events::new(), None).unwrap();
    let (server, peer) = accept(&selector[coming].source).unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    assert_eq!((&server).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!((&client).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!((&client).write(b"hello").unwrap(), 5);
}

/// An address where nobody listens.
fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn a_connect_that_is_refused_says_so_once_the_stream_is_ready() {
    // Loopback may tell it at once.
    let refused = connect(nowhere()).and_then(|client| {
        let mut selector = DefaultSelector::new().unwrap();
        let key = selector.register(client, Interest::WRITE, ()).unwrap();
        selector.select(&mut Events::new(), None).unwrap();
        finish_connect(&selector[key].source)
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}
