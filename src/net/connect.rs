//! Layer 6: how a stream socket gets connected, TCP or Unix.
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

/// A stream socket that is connected, or on its way to be.
pub(super) struct Begun<T> {
    stream: Async<T>,
    is_in_progress: bool,
}

/// Calls connect(2) for a socket that is non-blocking. If its `kind` is not known, the system is
/// asked for it when it matters.
///
/// Not async, so that no future keeps the address, which is as long as the longest of any family.
pub(super) fn begin<T>(
    socket: Socket,
    kind: Option<Kind>,
    address: &SockAddr,
) -> io::Result<Begun<T>>
where
    T: AsFd + From<OwnedFd> + 'static,
{
    let is_in_progress = match socket.connect(address) {
        Ok(()) => false,
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => true,
        Err(error) => return Err(error),
    };
    let reactor = Rc::clone(&current::expect().reactor);
    let stream = Async::fresh(T::from(OwnedFd::from(socket)), kind, reactor)?;
    Ok(Begun { stream, is_in_progress })
}

impl<T: AsFd> Begun<T> {
    /// Waits until the socket is connected.
    pub(super) async fn end(self) -> io::Result<Async<T>> {
        if self.is_in_progress {
            self.stream.writable().await?;
            let descriptor = self.stream.descriptor();
            let socket = SockRef::from(&descriptor);
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            // Writable and without an error is not yet connected: ask for the peer.
            socket.peer_addr()?;
        }
        Ok(self.stream)
    }
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
