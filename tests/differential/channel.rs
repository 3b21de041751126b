//! The channels under test and what the kernel says of them: no selector in here.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, recv, send, socketpair,
};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

use super::ops::{Amount, Kind};

/// Bytes that a Unix socket or a pipe takes at least, small so that filling one is quick.
const SMALL_BUFFER: usize = 4096;

/// How long the kernel may take to deliver over loopback before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Rounds of a probe: data may be answered by a reset or an acknowledgement, which may let more
/// data go; nothing here has a longer chain of consequences.
const ROUNDS: usize = 4;

/// How many bytes an operation moved, and the error that ended it, if one did.
pub type Moved = (usize, Option<Errno>);

/// Opens channels; holds the listener that all TCP pairs go through.
pub struct Plumber {
    listener: TcpListener,
    /// A UDP socket connected to itself.
    probe: UdpSocket,
}

impl Plumber {
    pub fn new() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let probe = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        probe.connect(probe.local_addr()?)?;
        probe.set_read_timeout(Some(PATIENCE))?;
        stay_on_this_processor()?;
        Ok(Self { listener, probe })
    }

    /// Waits until everything that this thread has sent over loopback has arrived, and so have
    /// the answers of the kernel to it. Loopback is a queue for each processor, first in, first
    /// out, and mostly, but not always, worked off before the sender's system call returns: what
    /// was sent before a probe has arrived when the probe has.
    pub fn settle(&self) -> io::Result<()> {
        for _ in 0..ROUNDS {
            self.probe.send(b"?")?;
            self.probe.recv(&mut [0])?;
        }
        Ok(())
    }

    /// Both ends, non-blocking.
    pub fn open(&self, kind: Kind) -> io::Result<[OwnedFd; 2]> {
        match kind {
            Kind::Unix => {
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                let (near, far) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
                socket2::SockRef::from(&near).set_send_buffer_size(SMALL_BUFFER)?;
                socket2::SockRef::from(&far).set_send_buffer_size(SMALL_BUFFER)?;
                Ok([near, far])
            }
            Kind::Tcp => {
                let near = TcpStream::connect(self.listener.local_addr()?)?;
                let (far, _) = self.listener.accept()?;
                for end in [&near, &far] {
                    end.set_nonblocking(true)?;
                    end.set_nodelay(true)?;
                }
                Ok([near.into(), far.into()])
            }
            Kind::Pipe => {
                let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
                fcntl_setpipe_size(&writer, SMALL_BUFFER)?;
                Ok([reader, writer])
            }
        }
    }
}

fn stay_on_this_processor() -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(sched_getcpu());
    Ok(sched_setaffinity(None, &only)?)
}

/// Lets a TCP socket end without a TIME_WAIT, as thousands of them would use up the ports.
pub fn forget_on_close(fd: impl AsFd) {
    // Fails where there is nothing to do: on pipes, and on sockets that have been reset.
    let _ = socket2::SockRef::from(&fd).set_linger(Some(Duration::ZERO));
}

/// Closes a descriptor behind its owner's back. Its number must be [`occupy`]-ed before the
/// owner is dropped, as that closes it again.
pub fn close_too_early(owner: &OwnedFd) -> io::Result<()> {
    Ok(nix::unistd::close(owner.as_raw_fd())?)
}

/// Puts the open file of `successor` under the descriptor number that `owner` owns and that
/// [`close_too_early`] has freed. Tests that do this run one at a time.
pub fn occupy(owner: &OwnedFd, successor: &OwnedFd) -> io::Result<()> {
    let number = owner.as_raw_fd();
    let taken = rustix::io::fcntl_dupfd_cloexec(successor, number)?;
    assert_eq!(taken.as_raw_fd(), number, "somebody else took the number");
    // `owner` owns it from now on.
    let _ = taken.into_raw_fd();
    Ok(())
}

/// The oracle: what poll(2) answers to somebody who asks for everything.
pub fn poll_now(fds: &[impl AsFd]) -> Vec<PollFlags> {
    let all = PollFlags::IN | PollFlags::OUT | PollFlags::PRI | PollFlags::RDHUP;
    let mut asked: Vec<_> = fds.iter().map(|fd| PollFd::new(fd, all)).collect();
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut asked, Some(&at_once)).expect("poll(2) without a timeout does not fail");
    asked.iter().map(PollFd::revents).collect()
}

pub fn write(fd: &OwnedFd, kind: Kind, amount: Amount) -> Moved {
    let bytes = [b'x'; 1024];
    let chunk = match amount {
        Amount::Byte => &bytes[..1],
        Amount::Some => &bytes[..100],
        Amount::All => &bytes[..],
    };
    let until_full = matches!(amount, Amount::All) && kind != Kind::Tcp;
    repeat(until_full, || rustix::io::write(fd, chunk))
}

pub fn read(fd: &OwnedFd, amount: Amount) -> Moved {
    let mut buffer = [0; 4096];
    let room = match amount {
        Amount::Byte => 1,
        Amount::Some => 100,
        Amount::All => buffer.len(),
    };
    let until_empty = matches!(amount, Amount::All);
    repeat(until_empty, || rustix::io::read(fd, &mut buffer[..room]))
}

fn repeat(for_ever: bool, mut step: impl FnMut() -> rustix::io::Result<usize>) -> Moved {
    let mut moved = 0;
    loop {
        match step() {
            Ok(0) => return (moved, None),
            Ok(count) => moved += count,
            Err(errno) => return (moved, Some(errno)),
        }
        if !for_ever {
            return (moved, None);
        }
    }
}

pub fn shut_down(fd: &OwnedFd, how: Shutdown) -> Moved {
    (0, rustix::net::shutdown(fd, how).err())
}

pub fn send_out_of_band(fd: &OwnedFd) -> Moved {
    match send(fd, b"!", SendFlags::OOB | SendFlags::NOSIGNAL) {
        Ok(count) => (count, None),
        Err(errno) => (0, Some(errno)),
    }
}

pub fn take_out_of_band(fd: &OwnedFd) -> Moved {
    match recv(fd, &mut [0_u8; 1][..], RecvFlags::OOB) {
        Ok((_, count)) => (count, None),
        Err(errno) => (0, Some(errno)),
    }
}
