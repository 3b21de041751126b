//! Layer 4: no write to a socket raises SIGPIPE.
//! Invariant: each send passes [`NO_SIGNAL`], and each descriptor that becomes async goes through
//! [`prevent`]. Apple's systems have no such flag for a send, but an option of the socket.

use std::io;

use rustix::net::SendFlags;

use crate::sys::AsFd;

/// For each send: a plug-in cannot know whether its host ignores SIGPIPE.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
pub(crate) const NO_SIGNAL: SendFlags = SendFlags::empty();

/// Sets `SO_NOSIGPIPE`. std does so for the sockets that it makes, but not for pairs, and not for
/// descriptors that it is given.
#[cfg(target_vendor = "apple")]
pub(super) fn prevent(io: impl AsFd) -> io::Result<()> {
    use rustix::io::Errno;
    use rustix::net::sockopt::set_socket_nosigpipe;

    match set_socket_nosigpipe(io, true) {
        // Not a socket, or one whose peer has gone already, which takes no option any more.
        Err(Errno::NOTSOCK | Errno::INVAL) => Ok(()),
        result => Ok(result?),
    }
}

/// Nothing to do: a send has [`NO_SIGNAL`].
#[cfg(not(target_vendor = "apple"))]
pub(super) fn prevent(_io: impl AsFd) -> io::Result<()> {
    Ok(())
}
