//! `Async<UnixListener>` and `Async<UnixStream>`.

use std::future::poll_fn;
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use futures::TryStreamExt;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use futures::stream::StreamExt;
use rustix::io::{FdFlags, fcntl_getfd};
use selkie::{Async, yield_now};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::connect::socket_path;
use crate::util::{is_nonblocking, run};

/// Connects a blocking socket, bound to `name` if there is one.
fn connect(to: &SockAddr, name: Option<&SockAddr>) -> Socket {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    if let Some(name) = name {
        socket.bind(name).unwrap();
    }
    socket.connect(to).unwrap();
    socket
}

#[test]
fn accept_waits_and_tells_who_came_by_path_abstract_name_or_none() {
    run(async || {
        let (path, peer_path) = (socket_path("accept"), socket_path("accept-peer"));
        let listener = Async::<UnixListener>::bind(&path).unwrap();
        let address = SockAddr::unix(&path).unwrap();

        let come = async {
            yield_now().await;
            connect(&address, None)
        };
        let (accepted, mut far) = futures::join!(listener.accept(), come);
        let (mut accepted, peer) = accepted.unwrap();
        assert!(peer.is_unnamed(), "{peer:?}");
        assert!(is_nonblocking(&accepted));
        assert_eq!(fcntl_getfd(&accepted).unwrap(), FdFlags::CLOEXEC);
        far.write_all(b"hello").unwrap();
        assert_eq!(accepted.read(&mut [0; 8]).await.unwrap(), 5);

        let _far = connect(&address, Some(&SockAddr::unix(&peer_path).unwrap()));
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.as_pathname(), Some(&*peer_path));

        // It has a name and is gone.
        std::fs::remove_file(&peer_path).unwrap();
        drop(connect(&address, Some(&SockAddr::unix(&peer_path).unwrap())));
        let (mut accepted, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.as_pathname(), Some(&*peer_path));
        assert_eq!(accepted.read(&mut [0; 8]).await.unwrap(), 0);

        let name = format!("selkie-{}-accept-peer", std::process::id());
        let _far = connect(&address, Some(&SockAddr::unix(format!("\0{name}")).unwrap()));
        let (_, peer) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        assert_eq!(peer.as_abstract_name(), Some(name.as_bytes()));

        drop(listener);
        assert!(path.exists(), "the file stays when the listener is gone");
        for path in [path, peer_path] {
            std::fs::remove_file(path).unwrap();
        }
    });
}

#[test]
fn a_peer_with_the_longest_path_there_is_is_accepted_too() {
    run(async || {
        let path = socket_path("longest");
        let listener = Async::<UnixListener>::bind(&path).unwrap();
        // The system takes all 108 bytes of `sun_path`, with no zero at the end.
        let mut longest = socket_path("longest-peer").into_os_string();
        longest.push("x".repeat(108 - longest.len()));
        let mut far = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let longest_address = rustix::net::SocketAddrUnix::new(&*longest).unwrap();
        rustix::net::bind(&far, &longest_address).unwrap();
        far.connect(&SockAddr::unix(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&longest).unwrap();
        far.write_all(b"hello").unwrap();
        let (mut accepted, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.as_pathname().map(|path| path.as_os_str()), Some(&*longest));
        assert_eq!(accepted.read(&mut [0; 8]).await.unwrap(), 5);
    });
}

#[test]
fn a_listener_with_an_abstract_name_is_made_elsewhere_and_works_alike() {
    run(async || {
        let name = format!("selkie-{}-listener", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = Async::try_from(UnixListener::bind_addr(&address).unwrap()).unwrap();
        let streams: Vec<_> = (0..5).map(|_| UnixStream::connect_addr(&address).unwrap()).collect();
        let accepted: Vec<_> = listener.incoming().take(5).try_collect().await.unwrap();
        assert_eq!(accepted.len(), streams.len());
        for (stream, (mut accepted, _)) in streams.into_iter().zip(accepted) {
            (&stream).write_all(b"x").unwrap();
            assert_eq!(accepted.read(&mut [0; 8]).await.unwrap(), 1);
        }
    });
}

#[test]
fn a_path_that_exists_is_an_error() {
    run(async || {
        let path = socket_path("exists");
        let _listener = Async::<UnixListener>::bind(&path).unwrap();
        let error = Async::<UnixListener>::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn a_pair_talks_and_peeks_and_shuts_down() {
    run(async || {
        let (mut one, mut other) = Async::<UnixStream>::pair().unwrap();
        let mut buf = [0; 8];
        let write = async {
            yield_now().await;
            other.write_all(b"hello").await.unwrap();
        };
        let (len, ()) = futures::join!(one.peek(&mut buf), write);
        assert_eq!((len.unwrap(), &buf[..5]), (5, &b"hello"[..]));
        assert_eq!(one.read(&mut buf).await.unwrap(), 5);
        other.shutdown(Shutdown::Write).unwrap();
        assert_eq!(one.peek(&mut buf).await.unwrap(), 0);
        assert_eq!(one.read(&mut buf).await.unwrap(), 0);
        one.write_all(b"still").await.unwrap();
        assert_eq!(other.read(&mut buf).await.unwrap(), 5);
    });
}

#[test]
fn shutdown_of_the_read_side_ends_a_read_that_waits() {
    run(async || {
        let (one, _other) = Async::<UnixStream>::pair().unwrap();
        let mut buf = [0; 8];
        let mut reader = &one;
        let go = async {
            yield_now().await;
            one.shutdown(Shutdown::Read).unwrap();
        };
        let (len, ()) = futures::join!(reader.read(&mut buf), go);
        assert_eq!(len.unwrap(), 0);
    });
}
