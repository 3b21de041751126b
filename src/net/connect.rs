//! Layer 5: how a stream socket gets connected, TCP or Unix.
//! Imports `io`. Invariant: watched only after connect(2) was called, since an unconnected
//! socket reports a hang-up.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::io::Async;

/// Opens a stream socket that is connected to `address`, or on its way to be.
pub(super) async fn connect<T>(domain: Domain, address: &SockAddr) -> io::Result<Async<T>>
where
    T: AsFd + From<OwnedFd> + 'static,
{
    let socket = stream_socket(domain)?;
    let in_progress = match socket.connect(address) {
        Ok(()) => false,
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => true,
        Err(error) => return Err(error),
    };
    let stream = Async::new_nonblocking(T::from(OwnedFd::from(socket)))?;
    if in_progress {
        stream.writable().await?;
        let socket = SockRef::from(&stream);
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        // Writable and without an error is not yet connected: ask for the peer.
        socket.peer_addr()?;
    }
    Ok(stream)
}

/// A stream socket that is non-blocking and close-on-exec.
pub(super) fn stream_socket(domain: Domain) -> io::Result<Socket> {
    #[cfg(target_os = "linux")]
    {
        Socket::new(domain, Type::STREAM.cloexec().nonblocking(), None)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let socket = Socket::new(domain, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}
