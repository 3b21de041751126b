//! Connections on their way: made, refused, never answered, given up.

use std::cell::Cell;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::io::AsyncWriteExt;
use rustix::fs::OFlags;
use rustix::io::{FdFlags, fcntl_getfd};
use selkie::{Async, timeout};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::child::{self, role};
use crate::liar;
use crate::util::sockets::{full_listener, nobody_listens};
use crate::util::{Stepped, Watcher, child, open_descriptors, run};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn a_connection_that_is_made_is_made() {
    run(async || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut stream = Async::<TcpStream>::connect(address).await.unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap(), address);
        let (mut accepted, peer) = listener.accept().unwrap();
        assert_eq!(peer, stream.get_ref().local_addr().unwrap());
        stream.write_all(b"hello").await.unwrap();
        stream.close().await.unwrap();
        let mut text = String::new();
        accepted.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        let flags = rustix::fs::fcntl_getfl(&stream).unwrap();
        assert!(flags.contains(OFlags::NONBLOCK));
        assert_eq!(fcntl_getfd(&stream).unwrap(), FdFlags::CLOEXEC);
    });
}

#[test]
fn ipv6_is_no_other_matter() {
    run(async || {
        let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
            println!("skipped: this system has no IPv6");
            return;
        };
        let address = listener.local_addr().unwrap();
        let stream = Async::<TcpStream>::connect(address).await.unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap(), address);
    });
}

#[test]
fn a_hundred_connections_are_made_at_once() {
    run(async || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let connects = (0..100).map(|_| Async::<TcpStream>::connect(address));
        let streams = futures::future::try_join_all(connects).await.unwrap();
        for stream in &streams {
            let (_accepted, _) = listener.accept().unwrap();
            assert_eq!(stream.get_ref().peer_addr().unwrap(), address);
        }
    });
}

#[test]
fn a_connection_that_is_refused_says_so() {
    run(async || {
        let (_socket, address) = nobody_listens(LOCALHOST);
        let error = Async::<TcpStream>::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_connection_that_nobody_answers_costs_nothing_until_it_is_given_up() {
    let _quiet = liar::only_hidden_lies("nothing may happen by itself");
    let stepped = Stepped::new();
    let (listener, _first) = full_listener(LOCALHOST);
    let address = listener.local_addr().unwrap();
    let watcher = Watcher::new();
    {
        let mut connect = pin!(Async::<TcpStream>::connect(address));
        assert!(stepped.poll(connect.as_mut(), &watcher).is_pending());
        stepped.settle();
        stepped.assert_idle();
        assert!(stepped.poll(connect.as_mut(), &watcher).is_pending());
    }
    assert_eq!(watcher.holders(), 0);
    stepped.settle();
    stepped.assert_idle();
}

#[test]
fn a_connection_that_is_given_up_leaks_nothing() {
    const NAME: &str = "connect::a_connection_that_is_given_up_leaks_nothing";
    if role().is_none() {
        child::run(&mut child(NAME, "leak"));
        return;
    }
    run(async || {
        let (listener, _first) = full_listener(LOCALHOST);
        let address = listener.local_addr().unwrap();
        let before = open_descriptors();
        for _ in 0..20 {
            let connect = Async::<TcpStream>::connect(address);
            let late = timeout(Duration::from_millis(1), connect).await;
            late.expect_err("nobody answers");
        }
        assert_eq!(open_descriptors(), before);
        let (_socket, refuses) = nobody_listens(LOCALHOST);
        for _ in 0..20 {
            Async::<TcpStream>::connect(refuses).await.unwrap_err();
        }
        assert_eq!(open_descriptors(), before + 1, "the socket that does not listen");
    });
}

#[test]
fn a_connection_that_is_answered_late_is_made() {
    run(async || {
        let (listener, _first) = full_listener(LOCALHOST);
        let address = listener.local_addr().unwrap();
        let has_waited = Rc::new(Cell::new(false));
        let waited = Rc::clone(&has_waited);
        let connect = selkie::spawn(async move {
            let stream = Async::<TcpStream>::connect(address).await;
            assert!(waited.get(), "the queue was not full");
            stream
        });
        selkie::sleep(Duration::from_millis(20)).await;
        has_waited.set(true);
        // Room in the queue; the system knocks again after a second.
        listener.accept().unwrap();
        assert_eq!(connect.await.unwrap().get_ref().peer_addr().unwrap(), address);
    });
}

#[test]
fn a_peer_that_closed_at_once_is_connected_or_reset() {
    run(async || {
        for _ in 0..50 {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let mut connect = pin!(Async::<TcpStream>::connect(address));
            let begun = futures::poll!(connect.as_mut());
            drop(listener);
            let ended = match begun {
                Poll::Ready(ended) => ended,
                Poll::Pending => connect.await,
            };
            match ended {
                Ok(stream) => {
                    let error = stream.read_with(|mut io| io.read(&mut [0; 8])).await;
                    assert_eq!(error.unwrap_err().kind(), ErrorKind::ConnectionReset);
                }
                Err(error) => {
                    let kinds = [ErrorKind::ConnectionReset, ErrorKind::ConnectionRefused];
                    assert!(kinds.contains(&error.kind()), "{error}");
                }
            }
        }
    });
}

/// A path for a socket, without a file.
pub fn socket_path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("selkie-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn a_unix_listener_is_reached_by_path_and_by_abstract_name() {
    run(async || {
        let path = socket_path("connect");
        let listener = UnixListener::bind(&path).unwrap();
        let stream = Async::<UnixStream>::connect(&path).await.unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap().as_pathname(), Some(&*path));
        drop(listener);
        let error = Async::<UnixStream>::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        std::fs::remove_file(&path).unwrap();
        let error = Async::<UnixStream>::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);

        let name = format!("selkie-{}-connect", std::process::id());
        let address = UnixAddr::from_abstract_name(&name).unwrap();
        let _listener = UnixListener::bind_addr(&address).unwrap();
        let stream = Async::<UnixStream>::connect(format!("\0{name}")).await.unwrap();
        let peer = stream.get_ref().peer_addr().unwrap();
        assert_eq!(peer.as_abstract_name(), Some(name.as_bytes()));
    });
}

#[test]
fn a_unix_listener_whose_queue_is_full_refuses_at_once() {
    run(async || {
        let path = socket_path("full");
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        listener.listen(0).unwrap();
        let _first = Async::<UnixStream>::connect(&path).await.unwrap();
        let error = Async::<UnixStream>::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        listener.accept().unwrap();
        Async::<UnixStream>::connect(&path).await.unwrap();
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn a_path_that_is_too_long_is_an_error() {
    run(async || {
        let error = Async::<UnixStream>::connect("x".repeat(200)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        Async::<UnixListener>::bind("x".repeat(200)).unwrap_err();
    });
}
