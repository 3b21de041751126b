//! TCP for an explicit `select()` loop: the sockets of the standard library, non-blocking from their
//! making.
//!
//! They need no runtime. What the standard library lacks is a [`connect`] that returns at once; and
//! in another [`world`](crate::world) than the system, these are its sockets.
//!
//! ```
//! use std::io;
//! use selkie::net::nonblocking::{accept, connect, finish_connect, listen};
//! use selkie::{DefaultSelector, Events, Interest};
//!
//! let listener = listen("127.0.0.1:0")?;
//! let stream = connect(listener.local_addr()?)?;
//! let mut selector = DefaultSelector::new()?;
//! let coming = selector.register(listener, Interest::READ, ())?;
//! let (accepted, peer) = loop {
//!     selector.select(&mut Events::new(), None)?;
//!     match accept(&selector[coming].source) {
//!         Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
//!         result => break result?,
//!     }
//! };
//! // A loop asks this once the stream is writable.
//! finish_connect(&stream)?;
//! assert_eq!(peer, stream.local_addr()?);
//! # drop(accepted);
//! # Ok::<(), io::Error>(())
//! ```

// Layer 6. Invariant: the thread's world is asked first, and the system for what it leaves to it.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, SockAddr};

use super::address::ToAddresses;
use super::connect::{begin_connect, connected, stream_socket};
use super::listen::listen as async_listen;
use super::tcp::accept_now;
use crate::selector::world;
use crate::sys::AsFd;

/// Listens on an IP address; as [`net::listen`](super::listen()) without options, but with the
/// standard library's listener.
///
/// # Errors
/// As [`Listen::bind`](super::Listen::bind).
pub fn listen(address: impl ToAddresses) -> io::Result<TcpListener> {
    async_listen(address).open(world::current().as_deref())
}

/// Accepts a connection; returns it and the peer's address.
///
/// # Errors
/// As accept(2): of kind `WouldBlock` if there is none.
pub fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    accept_now(world::current().as_deref(), listener)
}

/// Begins to connect to an IP address, and returns at once: when the stream is writable,
/// [`finish_connect`] tells what became of it.
///
/// Register it after that: what is not connecting yet reports a hang-up.
///
/// # Errors
/// As connect(2), but for `EINPROGRESS`.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    if let Some(stream) = world::current().and_then(|world| world.connect_tcp(address)) {
        return stream;
    }
    let socket = stream_socket(Domain::for_address(address))?;
    begin_connect(&socket, &SockAddr::from(address))?;
    Ok(socket.into())
}

/// What became of a [`connect`], once the stream is writable.
///
/// # Errors
/// As connect(2); of kind `NotConnected` if it is not writable yet. An error is told once.
pub fn finish_connect(stream: &TcpStream) -> io::Result<()> {
    let result = world::current().and_then(|world| world.finish_connect(stream.as_fd()));
    result.unwrap_or_else(|| connected(stream.as_fd()))
}
