//! Layer 6: UDP.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;

use rustix::net::{RecvFlags, SendFlags, recv, recvfrom, send, sendto};

use super::address::ToAddresses;
use super::tcp::peek;
use crate::executor::current;
use crate::io::{Async, NO_SIGNAL};
use crate::reactor::Direction;
use crate::selector::world::Taking;
use crate::sys::BorrowedFd;

impl Async<UdpSocket> {
    /// A socket bound to an IP address, or to the first of several that is free; port 0 lets the
    /// system choose one.
    ///
    /// # Errors
    /// As [`UdpSocket::bind`] and [`Async::new`]. Of kind `InvalidInput` for a host's name: it
    /// would have to be looked up.
    ///
    /// # Panics
    /// As [`Async::new`].
    #[track_caller]
    pub fn bind(address: impl ToAddresses) -> io::Result<Self> {
        let reactor = Rc::clone(&current::expect().reactor);
        let socket = address.to_addresses()?.first(|address| {
            let socket = reactor.world().and_then(|world| world.bind_udp(address));
            socket.unwrap_or_else(|| UdpSocket::bind(address))
        })?;
        Ok(Self::new(socket)?)
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// As getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.instead(|world, socket| world.local_addr(socket))
            .unwrap_or_else(|| self.io().local_addr())
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    /// As getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.instead(|world, socket| world.peer_addr(socket))
            .unwrap_or_else(|| self.io().peer_addr())
    }

    /// Connects it to a peer, at once: [`send`](Self::send) sends to that one, and nothing is received
    /// from others. It may be connected anew.
    ///
    /// # Errors
    /// As connect(2).
    pub fn connect(&self, peer: impl Into<SocketAddr>) -> io::Result<()> {
        let peer = peer.into();
        self.instead(|world, socket| world.connect_udp(socket, peer))
            .unwrap_or_else(|| self.io().connect(peer))
    }

    /// Receives a datagram; returns its length, cut to that of `buf`, and its sender.
    ///
    /// # Errors
    /// As recvfrom(2).
    ///
    /// # Cancel safety
    /// May be dropped at any time: no datagram is lost.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive_from(buf, Taking::Takes).await
    }

    /// As [`recv_from`](Self::recv_from), and leaves the datagram in the queue.
    ///
    /// # Errors
    /// As recvfrom(2) with `MSG_PEEK`.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive_from(buf, Taking::Leaves).await
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
        let flags = SendFlags::DONTWAIT | NO_SIGNAL;
        self.operation(Direction::Write, || {
            self.instead(|world, socket| world.send_udp(socket, buf, Some(target)))
                .unwrap_or_else(|| Ok(sendto(self.descriptor(), buf, flags, &target)?))
        })
        .await
    }

    /// Receives a datagram of the peer that the socket is [connected](Self::connect) to.
    ///
    /// # Errors
    /// As recv(2).
    ///
    /// # Cancel safety
    /// May be dropped at any time: no datagram is lost.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.operation(Direction::Read, || {
            self.instead(|world, socket| world.receive_udp(socket, buf, Taking::Takes)).map_or_else(
                || Ok(recv(self.descriptor(), &mut *buf, RecvFlags::DONTWAIT)?.0),
                |received| Ok(received?.0),
            )
        })
        .await
    }

    /// As [`recv`](Self::recv), and leaves the datagram in the queue.
    ///
    /// # Errors
    /// As recv(2) with `MSG_PEEK`.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.operation(Direction::Read, || {
            self.instead(|world, socket| world.receive_udp(socket, buf, Taking::Leaves))
                .map_or_else(|| peek(self.descriptor(), buf), |received| Ok(received?.0))
        })
        .await
    }

    /// Sends a datagram to the peer that the socket is [connected](Self::connect) to.
    ///
    /// # Errors
    /// As send(2).
    ///
    /// # Cancel safety
    /// May be dropped at any time: the datagram is then not sent.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | NO_SIGNAL;
        self.operation(Direction::Write, || {
            self.instead(|world, socket| world.send_udp(socket, buf, None))
                .unwrap_or_else(|| Ok(send(self.descriptor(), buf, flags)?))
        })
        .await
    }

    async fn receive_from(
        &self,
        buf: &mut [u8],
        taking: Taking,
    ) -> io::Result<(usize, SocketAddr)> {
        self.operation(Direction::Read, || {
            self.instead(|world, socket| world.receive_udp(socket, buf, taking))
                .unwrap_or_else(|| receive_from(self.descriptor(), buf, taking))
        })
        .await
    }
}

fn receive_from(
    socket: BorrowedFd<'_>,
    buf: &mut [u8],
    taking: Taking,
) -> io::Result<(usize, SocketAddr)> {
    let mut flags = RecvFlags::DONTWAIT;
    flags.set(RecvFlags::PEEK, taking == Taking::Leaves);
    let (len, _, sender) = recvfrom(socket, buf, flags)?;
    let sender = sender.ok_or(io::ErrorKind::InvalidData)?;
    Ok((len, SocketAddr::try_from(sender)?))
}

/// A socket that was made elsewhere; made non-blocking here.
impl TryFrom<UdpSocket> for Async<UdpSocket> {
    type Error = io::Error;

    #[track_caller]
    fn try_from(socket: UdpSocket) -> io::Result<Self> {
        Ok(Self::new(socket)?)
    }
}
