//! Layer 5: UDP.
//! Imports `io`.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use crate::io::Async;

impl Async<UdpSocket> {
    /// A socket bound to `address`; port 0 lets the system choose one.
    ///
    /// # Errors
    /// As [`UdpSocket::bind`] and [`Async::new`].
    ///
    /// # Panics
    /// As [`Async::new`].
    #[track_caller]
    pub fn bind(address: impl Into<SocketAddr>) -> io::Result<Self> {
        Self::new(UdpSocket::bind(address.into())?)
    }

    /// Receives a datagram; returns its length, cut to that of `buf`, and its sender.
    ///
    /// # Errors
    /// As recvfrom(2).
    ///
    /// # Cancel safety
    /// May be dropped at any time: no datagram is lost.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.read_with(|socket| socket.recv_from(buf)).await
    }

    /// As [`recv_from`](Self::recv_from), and leaves the datagram in the queue.
    ///
    /// # Errors
    /// As recvfrom(2) with `MSG_PEEK`.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.read_with(|socket| socket.peek_from(buf)).await
    }

    /// Sends a datagram; returns how many bytes, which is all of them.
    ///
    /// # Errors
    /// As sendto(2).
    ///
    /// # Cancel safety
    /// May be dropped at any time: the datagram is then not sent.
    pub async fn send_to(&self, buf: &[u8], target: impl Into<SocketAddr>) -> io::Result<usize> {
        let target = target.into();
        self.write_with(|socket| socket.send_to(buf, target)).await
    }

    /// Receives a datagram of the peer that the socket is connected to (`get_ref().connect(…)`).
    ///
    /// # Errors
    /// As recv(2).
    ///
    /// # Cancel safety
    /// May be dropped at any time: no datagram is lost.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_with(|socket| socket.recv(buf)).await
    }

    /// As [`recv`](Self::recv), and leaves the datagram in the queue.
    ///
    /// # Errors
    /// As recv(2) with `MSG_PEEK`.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_with(|socket| socket.peek(buf)).await
    }

    /// Sends a datagram to the peer that the socket is connected to.
    ///
    /// # Errors
    /// As send(2).
    ///
    /// # Cancel safety
    /// May be dropped at any time: the datagram is then not sent.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.write_with(|socket| socket.send(buf)).await
    }
}

/// A socket that was made elsewhere; made non-blocking here.
impl TryFrom<UdpSocket> for Async<UdpSocket> {
    type Error = io::Error;

    fn try_from(socket: UdpSocket) -> io::Result<Self> {
        Self::new(socket)
    }
}
