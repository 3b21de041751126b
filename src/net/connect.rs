//! Layer 5: how a stream socket gets connected, TCP or Unix.
//! Invariant: watched only after connect(2) was called, since an unconnected socket reports a
//! hang-up.

use std::io;
use std::rc::Rc;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::executor::current;
use crate::io::Async;
use crate::reactor::Kind;
use crate::sys::{AsFd, OwnedFd};

/// Opens a stream socket that is connected to `address`, or on its way to be.
pub(super) async fn connect<T>(
    domain: Domain,
    kind: Kind,
    address: &SockAddr,
) -> io::Result<Async<T>>
where
    T: AsFd + From<OwnedFd> + 'static,
{
    let socket = stream_socket(domain)?;
    let in_progress = match socket.connect(address) {
        Ok(()) => false,
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => true,
        Err(error) => return Err(error),
    };
    let reactor = Rc::clone(&current::expect().reactor);
    let stream = Async::fresh(T::from(OwnedFd::from(socket)), Some(kind), reactor)?;
    if in_progress {
        stream.writable().await?;
        let descriptor = stream.descriptor();
        let socket = SockRef::from(&descriptor);
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
