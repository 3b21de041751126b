//! Every public async fn that waits, given up at each of its await points: before it was polled,
//! while it waits, and when it has been woken but not polled. No byte, datagram, connection or
//! tick is lost by that, and no waiter stays behind.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use rustix::event::PollFlags;
use selkie::Async;
use selkie::time::interval;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::connect::socket_path;
use crate::liar;
use crate::util::{Stepped, Watcher, blocking_tcp_pair, drain, fill, near_and_far, wait_in_kernel};

/// Gives up what `make` makes at each point; `cause` is what it waits for. Returns what it comes
/// to at last, without another cause.
#[track_caller]
fn given_up<F: Future>(
    stepped: &Stepped,
    mut make: impl FnMut() -> F,
    mut cause: impl FnMut(),
) -> F::Output {
    let _quiet = liar::only_hidden_lies("wakes are counted");
    drop(make());
    let watcher = Watcher::new();
    {
        let mut waits = pin!(make());
        assert!(stepped.poll(waits.as_mut(), &watcher).is_pending());
        assert!(stepped.poll(waits.as_mut(), &watcher).is_pending());
        assert_eq!(watcher.holders(), 1);
    }
    assert_eq!(watcher.holders(), 0, "a waiter stayed behind when it waited");
    assert_eq!(watcher.count(), 0);
    {
        let mut is_woken = pin!(make());
        assert!(stepped.poll(is_woken.as_mut(), &watcher).is_pending());
        cause();
        stepped.until("it is woken", || watcher.count() > 0);
    }
    assert_eq!(watcher.holders(), 0, "a waiter stayed behind when it was woken");
    stepped.settle();
    let last = pin!(make());
    stepped.finish(last, &watcher)
}

#[test]
fn read_with_and_readable_lose_no_byte() {
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let read = || near.read_with(|mut io| io.read(&mut [0; 2]));
    let write = || far.write_all(b"abcde").unwrap();
    assert_eq!(given_up(&stepped, read, write).unwrap(), 2);
    assert_eq!(near.get_ref().read(&mut [0; 8]).unwrap(), 3);

    let write = || far.write_all(b"abcde").unwrap();
    given_up(&stepped, || near.readable(), write).unwrap();
    assert_eq!(near.get_ref().read(&mut [0; 8]).unwrap(), 5);
}

#[test]
fn write_with_and_writable_write_once_or_not() {
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let filled = fill(near.get_ref());
    let write = || near.write_with(|mut io| io.write(b"x"));
    assert_eq!(given_up(&stepped, write, || drain(&far, filled)).unwrap(), 1);
    let filled = fill(near.get_ref());
    given_up(&stepped, || near.writable(), || drain(&far, 1 + filled)).unwrap();
    far.set_nonblocking(true).unwrap();
    assert_eq!(far.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn the_poll_functions_of_a_stream_lose_no_byte_and_write_once_or_not() {
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let (watcher, mut buf) = (Watcher::new(), [0; 2]);
    let (mut reader, mut writer) = (&near, &near);
    assert!(stepped.poll(pin!(reader.read(&mut buf)), &watcher).is_pending());
    far.write_all(b"abcde").unwrap();
    stepped.until("it is woken", || watcher.count() > 0);
    let mut read = 0;
    while read < 5 {
        read += stepped.finish(pin!(reader.read(&mut buf)), &watcher).unwrap();
    }
    let filled = fill(near.get_ref());
    for _ in 0..3 {
        assert!(stepped.poll(pin!(writer.write(b"x")), &watcher).is_pending());
    }
    drain(&far, filled);
    assert_eq!(stepped.finish(pin!(writer.write(b"x")), &watcher).unwrap(), 1);
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 1);
}

#[test]
fn accept_loses_no_connection() {
    let stepped = Stepped::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let listener = stepped.enter(|| Async::new(listener).unwrap());
    let far = Cell::new(None);
    let connect = || far.set(Some(TcpStream::connect(address).unwrap()));
    let (_, peer) = given_up(&stepped, || listener.accept(), connect).unwrap();
    assert_eq!(peer, far.take().unwrap().local_addr().unwrap());

    let mut incoming = listener.incoming();
    let watcher = Watcher::new();
    assert!(stepped.poll(pin!(incoming.next()), &watcher).is_pending());
    let far = TcpStream::connect(address).unwrap();
    stepped.until("it is woken", || watcher.count() > 0);
    drop(incoming);
    let mut incoming = listener.incoming();
    let (_, peer) = stepped.finish(pin!(incoming.next()), &watcher).unwrap().unwrap();
    assert_eq!(peer, far.local_addr().unwrap());
}

#[test]
fn accept_of_a_unix_listener_loses_no_connection() {
    let stepped = Stepped::new();
    let path = socket_path("given-up");
    let listener = stepped.enter(|| Async::<UnixListener>::bind(&path).unwrap());
    let far = Cell::new(None);
    let connect = || {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"hello").unwrap();
        far.set(Some(stream));
    };
    let (accepted, _) = given_up(&stepped, || listener.accept(), connect).unwrap();
    assert_eq!(accepted.get_ref().read(&mut [0; 8]).unwrap(), 5);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_connect_that_is_given_up_is_closed() {
    let stepped = Stepped::new();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).unwrap();
    socket.listen(0).unwrap(); // One fits in.
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let first = TcpStream::connect(address).unwrap();
    let accept = || {
        wait_in_kernel(&listener, PollFlags::IN);
        listener.accept().unwrap()
    };
    let connect = || Async::<TcpStream>::connect(address);
    let watcher = Watcher::new();
    drop(connect());
    {
        let mut waits = pin!(connect());
        assert!(stepped.poll(waits.as_mut(), &watcher).is_pending());
    }
    {
        let mut is_woken = pin!(connect());
        assert!(stepped.poll(is_woken.as_mut(), &watcher).is_pending());
        assert_eq!(accept().1, first.local_addr().unwrap());
        // The system knocks again after a second.
        stepped.until("it is woken", || watcher.count() > 0);
    }
    assert_eq!(watcher.holders(), 0);
    let (mut accepted, _) = accept();
    assert_eq!(accepted.read(&mut [0; 8]).unwrap(), 0);
    let stream = stepped.finish(pin!(connect()), &watcher).unwrap();
    assert_eq!(accept().1, stream.get_ref().local_addr().unwrap());
}

#[test]
fn connect_to_a_unix_listener_does_not_wait_at_all() {
    let stepped = Stepped::new();
    let path = socket_path("no-wait");
    let listener = UnixListener::bind(&path).unwrap();
    drop(Async::<UnixStream>::connect(&path));
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let connect = pin!(Async::<UnixStream>::connect(&path));
    assert!(stepped.poll(connect, &Watcher::new()).is_ready());
    listener.accept().unwrap();
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn peek_takes_nothing() {
    let stepped = Stepped::new();
    let (near, far) = blocking_tcp_pair();
    let near = stepped.enter(|| Async::new(near).unwrap());
    let peek = || async { near.peek(&mut [0; 2]).await };
    let write = || (&far).write_all(b"abcde").unwrap();
    assert_eq!(given_up(&stepped, peek, write).unwrap(), 2);
    assert_eq!(near.get_ref().read(&mut [0; 8]).unwrap(), 5);

    let (near, far) = stepped.enter(near_and_far);
    let peek = || async { near.peek(&mut [0; 2]).await };
    let write = || (&far).write_all(b"abcde").unwrap();
    assert_eq!(given_up(&stepped, peek, write).unwrap(), 2);
    assert_eq!(near.get_ref().read(&mut [0; 8]).unwrap(), 5);
}

#[test]
fn udp_loses_no_datagram() {
    let stepped = Stepped::new();
    let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (address, from) = (near.local_addr().unwrap(), far.local_addr().unwrap());
    near.connect(from).unwrap();
    let near = stepped.enter(|| Async::new(near).unwrap());
    let send = |text: &'static [u8]| {
        let far = &far;
        move || assert_eq!(far.send_to(text, address).unwrap(), text.len())
    };
    let receive_from = || async { near.recv_from(&mut [0; 8]).await };
    assert_eq!(given_up(&stepped, receive_from, send(b"a")).unwrap(), (1, from));
    let receive = || async { near.recv(&mut [0; 8]).await };
    assert_eq!(given_up(&stepped, receive, send(b"ab")).unwrap(), 2);
    let peek = || async { near.peek(&mut [0; 8]).await };
    assert_eq!(given_up(&stepped, peek, send(b"abc")).unwrap(), 3);
    assert_eq!(near.get_ref().recv(&mut [0; 8]).unwrap(), 3);
    let peek_from = || async { near.peek_from(&mut [0; 8]).await };
    assert_eq!(given_up(&stepped, peek_from, send(b"abcd")).unwrap(), (4, from));
    assert_eq!(near.get_ref().recv(&mut [0; 8]).unwrap(), 4);

    // Sending never waits here: it is done, or was not begun.
    drop((near.send(b"x"), near.send_to(b"x", from)));
    far.set_nonblocking(true).unwrap();
    assert_eq!(far.recv(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn unix_datagrams_are_received_once_and_sent_once_or_not() {
    let stepped = Stepped::new();
    let (near, far) = UnixDatagram::pair().unwrap();
    let near = stepped.enter(|| Async::new(near).unwrap());
    let send = || assert_eq!(far.send(b"hello").unwrap(), 5);
    let receive = || async { near.recv(&mut [0; 8]).await };
    assert_eq!(given_up(&stepped, receive, send).unwrap(), 5);
    let receive_from = || async { near.recv_from(&mut [0; 8]).await };
    assert_eq!(given_up(&stepped, receive_from, send).unwrap().0, 5);

    let mut filled = 0;
    while near.get_ref().send(b"fill").is_ok() {
        filled += 1;
    }
    let drain = || (0..filled).for_each(|_| assert_eq!(far.recv(&mut [0; 8]).unwrap(), 4));
    assert_eq!(given_up(&stepped, || near.send(b"x"), drain).unwrap(), 1);
    assert_eq!(far.recv(&mut [0; 8]).unwrap(), 1);
    far.set_nonblocking(true).unwrap();
    assert_eq!(far.recv(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_unix_datagram_to_a_path_is_sent_once_or_not() {
    let stepped = Stepped::new();
    let path = socket_path("once");
    let far = UnixDatagram::bind(&path).unwrap();
    let near = stepped.enter(|| Async::<UnixDatagram>::unbound().unwrap());
    let mut filled = 0;
    while near.get_ref().send_to(b"fill", &path).is_ok() {
        filled += 1;
    }
    let drain = || (0..filled).for_each(|_| assert_eq!(far.recv(&mut [0; 8]).unwrap(), 4));
    assert_eq!(given_up(&stepped, || near.send_to(b"x", &path), drain).unwrap(), 1);
    assert_eq!(stepped.next_deadline(), None);
    assert_eq!(far.recv(&mut [0; 8]).unwrap(), 1);
    far.set_nonblocking(true).unwrap();
    assert_eq!(far.recv(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn an_interval_loses_no_tick() {
    const PERIOD: Duration = Duration::from_millis(5);
    let stepped = Stepped::new();
    let mut interval = interval(PERIOD);
    let first = stepped.block_on(interval.tick());
    let watcher = Watcher::new();
    drop(interval.tick());
    assert!(stepped.poll(pin!(interval.tick()), &watcher).is_pending());
    assert_eq!(stepped.next_deadline(), Some(first + PERIOD));
    stepped.until("the tick is due", || watcher.count() > 0);
    drop(interval.tick());
    assert_eq!(stepped.finish(pin!(interval.tick()), &watcher), first + PERIOD);
    drop(interval);
    assert_eq!((watcher.holders(), stepped.next_deadline()), (0, None));
}
