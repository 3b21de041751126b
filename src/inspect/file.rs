//! Layer 6: what a descriptor is, as the system tells.
//! Limits: some system calls for each; a number that was closed behind our back is another file's.

use std::fmt;
use std::io::IsTerminal;

use rustix::fs::{FileType, fstat};
use rustix::net::{SocketType, sockopt};
use socket2::{SockAddr, SockRef};

use crate::sys::{AsRawFd, BorrowedFd};

/// What is behind a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct File {
    /// Its kind.
    pub kind: FileKind,
    /// The address of a socket, if it has one that says something.
    pub local: Option<String>,
    /// The address that a socket is connected to, if that has one that says something.
    pub peer: Option<String>,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A TCP connection, or one that is being made.
    TcpStream,
    /// A socket that TCP connections are accepted from.
    TcpListener,
    /// A UDP socket.
    Udp,
    /// A Unix stream socket.
    UnixStream,
    /// A socket that Unix streams are accepted from.
    UnixListener,
    /// A Unix datagram socket.
    UnixDatagram,
    /// Any other socket.
    Socket,
    /// A pipe or a FIFO.
    Pipe,
    /// A terminal.
    Terminal,
    /// An `eventfd(2)`.
    EventFd,
    /// A `timerfd_create(2)`.
    TimerFd,
    /// A child, or another process, by `pidfd_open(2)`; the number is there while it has not been
    /// waited for.
    Process(Option<u32>),
    /// A selector's `epoll(7)`.
    Epoll,
    /// An `inotify(7)`.
    Inotify,
    /// None of these, or the system does not tell.
    Other,
}

impl File {
    pub(super) fn of(fd: BorrowedFd<'_>) -> Self {
        if let Ok(socket_type) = sockopt::socket_type(fd) {
            let socket = SockRef::from(&fd);
            let kind = socket_kind(fd, socket_type);
            let local = socket.local_addr().ok().and_then(|address| name(&address));
            let peer = socket.peer_addr().ok().and_then(|address| name(&address));
            return Self { kind, local, peer };
        }
        Self { kind: file_kind(fd), local: None, peer: None }
    }

    /// True if connections are accepted from it.
    pub(super) fn is_listener(&self) -> bool {
        matches!(self.kind, FileKind::TcpListener | FileKind::UnixListener)
    }

    /// True if it is a stream that is not connected yet, or any more.
    pub(super) fn is_unconnected(&self) -> bool {
        self.kind == FileKind::TcpStream && self.peer.is_none()
    }
}

/// Other systems have no options that tell.
#[cfg(not(target_os = "linux"))]
fn socket_kind(_fd: BorrowedFd<'_>, _socket_type: SocketType) -> FileKind {
    FileKind::Socket
}

#[cfg(target_os = "linux")]
fn socket_kind(fd: BorrowedFd<'_>, socket_type: SocketType) -> FileKind {
    use rustix::net::{AddressFamily, ipproto};

    let is_listener = SockRef::from(&fd).is_listener().unwrap_or(false);
    let domain = sockopt::socket_domain(fd);
    let is_tcp = || sockopt::socket_protocol(fd) == Ok(Some(ipproto::TCP));
    match (domain, socket_type) {
        (Ok(AddressFamily::UNIX), SocketType::STREAM) if is_listener => FileKind::UnixListener,
        (Ok(AddressFamily::UNIX), SocketType::STREAM) => FileKind::UnixStream,
        (Ok(AddressFamily::UNIX), SocketType::DGRAM) => FileKind::UnixDatagram,
        (Ok(AddressFamily::INET | AddressFamily::INET6), SocketType::DGRAM) => FileKind::Udp,
        (Ok(AddressFamily::INET | AddressFamily::INET6), SocketType::STREAM) if is_tcp() => {
            if is_listener {
                FileKind::TcpListener
            } else {
                FileKind::TcpStream
            }
        }
        _ => FileKind::Socket,
    }
}

/// An address, if it says something.
fn name(address: &SockAddr) -> Option<String> {
    if let Some(address) = address.as_socket() {
        return Some(address.to_string());
    }
    if let Some(path) = address.as_pathname() {
        return Some(path.display().to_string());
    }
    let abstract_name = address.as_abstract_namespace()?;
    Some(format!("@{}", String::from_utf8_lossy(abstract_name)))
}

fn file_kind(fd: BorrowedFd<'_>) -> FileKind {
    if let Some(kind) = anonymous_kind(fd) {
        return kind;
    }
    match fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::Fifo) => FileKind::Pipe,
        Ok(FileType::CharacterDevice) if fd.is_terminal() => FileKind::Terminal,
        _ => FileKind::Other,
    }
}

/// What Linux calls a file that has no name of its own.
fn anonymous_kind(fd: BorrowedFd<'_>) -> Option<FileKind> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
    match link.to_str()? {
        "anon_inode:[eventfd]" => Some(FileKind::EventFd),
        "anon_inode:[timerfd]" => Some(FileKind::TimerFd),
        "anon_inode:[eventpoll]" => Some(FileKind::Epoll),
        "anon_inode:inotify" => Some(FileKind::Inotify),
        name if name == "anon_inode:[pidfd]" || name.starts_with("pidfd:") => {
            Some(FileKind::Process(process(fd)))
        }
        _ => None,
    }
}

/// The number of a pidfd's process.
fn process(fd: BorrowedFd<'_>) -> Option<u32> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    let number = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    number.trim().parse().ok()
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TcpStream => "TCP stream",
            Self::TcpListener => "TCP listener",
            Self::Udp => "UDP socket",
            Self::UnixStream => "Unix stream",
            Self::UnixListener => "Unix listener",
            Self::UnixDatagram => "Unix datagram socket",
            Self::Socket => "socket",
            Self::Pipe => "pipe",
            Self::Terminal => "terminal",
            Self::EventFd => "eventfd",
            Self::TimerFd => "timerfd",
            Self::Process(Some(number)) => return write!(f, "process {number}"),
            Self::Process(None) => "process that has ended",
            Self::Epoll => "epoll",
            Self::Inotify => "inotify",
            Self::Other => "file",
        })
    }
}

/// As `TCP stream 127.0.0.1:4000 to 127.0.0.1:50123`.
impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if let Some(local) = &self.local {
            write!(f, " {local}")?;
        }
        if let Some(peer) = &self.peer {
            write!(f, " to {peer}")?;
        }
        Ok(())
    }
}
