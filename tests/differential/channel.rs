//! The channels under test and what the kernel says of them: no selector in here.

use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

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
