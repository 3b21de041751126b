//! Layer 2: what file a descriptor is, and of what kind.
//! Invariant: what is unknown counts as the kind of which less is taken for granted.

use std::io;

use rustix::fs::fstat;

use crate::sys::BorrowedFd;

/// What a descriptor is, as far as reading and writing differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A TCP connection: bytes in a row.
    Tcp,
    /// A Unix stream socket: bytes in a row, and descriptors among them.
    UnixStream,
    /// Any other socket: datagrams, records, or a protocol that is not known here.
    Socket,
    /// Not a socket.
    File,
}

impl Kind {
    /// Asks the system: getsockopt(2), and for a stream once or twice more.
    pub(super) fn of(fd: BorrowedFd<'_>) -> Self {
        match rustix::net::sockopt::socket_type(fd) {
            Ok(rustix::net::SocketType::STREAM) => Self::of_stream(fd),
            Ok(_) => Self::Socket,
            Err(_) => Self::File,
        }
    }

    #[cfg(target_os = "linux")]
    fn of_stream(fd: BorrowedFd<'_>) -> Self {
        use rustix::net::{AddressFamily, ipproto, sockopt};

        match sockopt::socket_domain(fd) {
            Ok(AddressFamily::UNIX) => Self::UnixStream,
            // SCTP has streams too, which keep the limits of messages. So does TLS in the kernel,
            // where a read ends before a record that is no data.
            Ok(AddressFamily::INET | AddressFamily::INET6)
                if sockopt::socket_protocol(fd) == Ok(Some(ipproto::TCP))
                    && !has_upper_protocol(fd) =>
            {
                Self::Tcp
            }
            _ => Self::Socket,
        }
    }

    /// No back end of other systems tells the end of a stream by an edge, so nothing depends on
    /// the kind of stream.
    #[cfg(not(target_os = "linux"))]
    fn of_stream(_fd: BorrowedFd<'_>) -> Self {
        Self::Socket
    }

    pub(crate) fn is_socket(self) -> bool {
        self != Self::File
    }
}

/// True if the system speaks another protocol over this TCP connection, as TLS (`TCP_ULP`).
#[cfg(target_os = "linux")]
fn has_upper_protocol(fd: BorrowedFd<'_>) -> bool {
    use crate::sys::AsRawFd;

    let mut name = [0_u8; 16];
    let mut len = name.len() as libc::socklen_t;
    // SAFETY: the descriptor is open, as it is borrowed, and the system writes no more than `len`
    // bytes into `name`, and one number into `len`.
    let asked = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_ULP,
            name.as_mut_ptr().cast(),
            &mut len,
        )
    };
    // Where it cannot be asked there is none.
    asked == 0 && name[0] != 0
}

/// Device and inode: equal for descriptors of one file, and for others of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = fstat(fd)?;
        // Their types differ from system to system.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::useless_conversion
        )]
        Ok(Self { device: stat.st_dev as u64, inode: stat.st_ino as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::AsFd;

    #[test]
    #[cfg(target_os = "linux")]
    #[cfg_attr(miri, ignore = "needs sockets")]
    fn a_socket_of_records_is_no_stream_whatever_its_type_in_rust() {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let pair = |kind| socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None);
        let kind_of = |kind| Kind::of(pair(kind).expect("descriptors to spare").0.as_fd());
        assert_eq!(kind_of(SocketType::SEQPACKET), Kind::Socket);
        assert_eq!(kind_of(SocketType::DGRAM), Kind::Socket);
        assert_eq!(kind_of(SocketType::STREAM), Kind::UnixStream);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port to spare");
        assert_eq!(Kind::of(listener.as_fd()), Kind::Tcp);
        let (reader, _writer) = std::io::pipe().expect("descriptors to spare");
        assert_eq!(Kind::of(reader.as_fd()), Kind::File);
    }
}
