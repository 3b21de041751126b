//! Loopback sources, all close-on-exec.

#![allow(dead_code)] // No test binary needs all of it.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockAddr, Socket, Type};

use super::DEADLINE;

/// Two ends that do not block.
pub fn unix_pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

/// A pair whose first end has a byte to read.
pub fn ready_unix_pair() -> (UnixStream, UnixStream) {
    let (one, mut other) = unix_pair();
    other.write_all(b"!").unwrap();
    (one, other)
}

/// The accepted and the connecting end of a connection over 127.0.0.1; they block.
pub fn blocking_tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    (accepted, connecting)
}

/// As [`blocking_tcp_pair`], but the ends do not block.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let (accepted, connecting) = blocking_tcp_pair();
    accepted.set_nonblocking(true).unwrap();
    connecting.set_nonblocking(true).unwrap();
    (accepted, connecting)
}

/// An address that belongs to a socket which does not listen: it refuses connections.
pub fn nobody_listens(ip: impl Into<IpAddr>) -> (Socket, SocketAddr) {
    let address = SocketAddr::new(ip.into(), 0);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::from(address)).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// A listener whose queue is full: it answers nobody. With the connection that fills it.
pub fn full_listener(ip: impl Into<IpAddr>) -> (TcpListener, TcpStream) {
    let (socket, address) = nobody_listens(ip);
    socket.listen(0).unwrap();
    (socket.into(), TcpStream::connect(address).unwrap())
}

/// Writes to a non-blocking stream until the system takes no more; returns how many bytes.
#[track_caller]
pub fn fill(mut stream: impl Write) -> usize {
    let bytes = [b'.'; 64 * 1024];
    let mut count = 0;
    loop {
        match stream.write(&bytes) {
            Ok(len) => count += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
            Err(error) => panic!("cannot fill the buffer: {error}"),
        }
    }
}

/// Waits, without any selector of this crate, until the kernel has `flags` for `source`.
#[track_caller]
pub fn wait_in_kernel(source: impl AsFd, flags: PollFlags) {
    let mut fds = [PollFd::new(&source, flags)];
    let timeout = Timespec::try_from(DEADLINE).unwrap();
    assert_eq!(poll(&mut fds, Some(&timeout)).unwrap(), 1, "no {flags:?} within {DEADLINE:?}");
}
