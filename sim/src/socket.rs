//! The descriptors that stand for simulated sockets, and how a program's is told from another.
//! Invariant: a program's descriptor is used by its number only after a look whether it is still
//! the same file.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::{fs, io};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{FileType, fstat};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair, sockopt,
};
use socket2::{Domain, SockAddr, Socket, Type};

/// `SO_SNDBUF` of every socket, which the kernel doubles: its usual default, fixed, since the
/// machine's own may be another.
const SEND_BUFFER: usize = 106_496;

pub(crate) const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// What tells a socket from all other files while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Inode {
    /// A file of a disk may have the number of a socket.
    device: u64,
    number: u64,
}

impl Inode {
    pub(crate) fn of(fd: impl AsFd) -> io::Result<Self> {
        let found = fstat(fd)?;
        Ok(Self { device: found.st_dev, number: found.st_ino })
    }
}

/// A descriptor of the program: its number when it was handed out, and what was under it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handed {
    pub(crate) fd: RawFd,
    pub(crate) inode: Inode,
}

impl Handed {
    /// Lends the descriptor, if it is still there. Only while no host runs.
    #[allow(unsafe_code)]
    pub(crate) fn with<R>(self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> Option<R> {
        // SAFETY: `borrow_raw` needs a descriptor that stays open. If it is not, fstat(2) says so,
        // or that it is another file; and if it is, nobody closes it meanwhile, since the hosts'
        // threads, which own it, stand still. A thread that a host has started could.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd) };
        (Inode::of(fd).ok()? == self.inode).then(|| f(fd))
    }

    pub(crate) fn is_open(self) -> bool {
        self.with(|_| ()).is_some()
    }
}

/// Tells whether sockets are open that were handed out: under whatever number, since programs may
/// have a second descriptor of one, and close the first.
pub(crate) struct Census(OwnedFd);

impl Census {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    /// The kernel takes a socket out when its last descriptor is closed.
    pub(crate) fn add(&self, socket: &OwnedFd, inode: Inode) -> io::Result<()> {
        let data = EventData::new_u64(inode.number);
        Ok(epoll::add(&self.0, socket, data, EventFlags::empty())?)
    }

    pub(crate) fn is_open(&self, handed: Handed) -> bool {
        handed.is_open() || self.has(handed.inode)
    }

    fn has(&self, inode: Inode) -> bool {
        let entries = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.0.as_raw_fd()));
        let data = format!("{:x}", inode.number);
        let is_meant = |line: &str| {
            let mut words = line.split_whitespace().skip_while(|word| *word != "data:");
            words.nth(1) == Some(&data)
        };
        entries.is_ok_and(|entries| entries.lines().any(is_meant))
    }

    /// A socket that stands for one that is bound, and is counted here.
    pub(crate) fn stand_in(
        &self,
        kind: Type,
        address: SocketAddr,
    ) -> io::Result<(OwnedFd, Handed)> {
        let socket = stand_in(kind, address)?;
        let handed = Handed { fd: socket.as_raw_fd(), inode: Inode::of(&socket)? };
        self.add(&socket, handed.inode)?;
        Ok((socket, handed))
    }
}

/// Two connected stream sockets, non-blocking: the program's and the simulator's.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (outer, inner) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    for end in [&outer, &inner] {
        set_send_buffer(end.as_fd(), Room::Usual)?;
    }
    Ok((outer, inner))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Usual,
    /// As little as the kernel allows: writes are short.
    Least,
}

pub(crate) fn set_send_buffer(fd: BorrowedFd<'_>, room: Room) -> io::Result<()> {
    let bytes = if room == Room::Usual { SEND_BUFFER } else { 1 };
    Ok(sockopt::set_socket_send_buffer_size(fd, bytes)?)
}

/// Makes a stream not writable, as one is that is not connected yet: there is no room in it.
pub(crate) fn stuff(outer: BorrowedFd<'_>) -> io::Result<()> {
    set_send_buffer(outer, Room::Least)?;
    while send(outer, &[0], SEND).is_ok() {}
    Ok(())
}

/// Makes it writable.
pub(crate) fn unstuff(inner: BorrowedFd<'_>) {
    let mut buf = [0; 256];
    while recv(inner, &mut buf[..], RecvFlags::DONTWAIT).is_ok_and(|(len, _)| len > 0) {}
}

/// A socket that answers for an address, and does nothing else.
///
/// The system need not have such an address, or may not give the port away: then the standard
/// library's `local_addr` tells another one, and `Async`'s the right one.
fn stand_in(kind: Type, address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), kind.cloexec().nonblocking(), None)?;
    let bound = match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true),
        SocketAddr::V6(_) => socket.set_freebind_v6(true),
    };
    // Several simulations may have the same address at once.
    let _ = bound
        .and_then(|()| socket.set_reuse_address(true))
        .and_then(|()| socket.bind(&SockAddr::from(address)));
    Ok(socket.into())
}

/// What is readable while something waits in a queue.
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    pub(crate) fn ring(&self) {
        // Fails only if it is rung beyond measure.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    pub(crate) fn silence(&self) {
        // Fails only if it is silent.
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }

    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }
}

/// What of a descriptor the simulation could not answer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// The network of the machine.
    Network(SocketAddr),
    /// timerfd(2), which counts real time.
    Timer,
}

/// Looks whether `fd` belongs to the real world.
pub(crate) fn foreign(fd: BorrowedFd<'_>) -> Option<Foreign> {
    let kind = FileType::from_raw_mode(fstat(fd).ok()?.st_mode);
    if kind == FileType::Socket {
        let address = rustix::net::getsockname(fd).ok()?;
        return SocketAddr::try_from(address).ok().map(Foreign::Network);
    }
    if kind != FileType::Unknown {
        return None;
    }
    let link = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
    (link.to_str() == Some("anon_inode:[timerfd]")).then_some(Foreign::Timer)
}
