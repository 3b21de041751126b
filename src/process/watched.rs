//! Layer 6: a child as its pidfd has it.
//! Invariant: it is named by the pidfd alone, never by a number that may be another's by now.

use std::ffi::c_int;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, pidfd_send_signal,
    waitid,
};

use crate::sys::{AsFd, BorrowedFd, OwnedFd};

/// A child that was started and has not been waited for. It is not when this is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    pidfd: OwnedFd,
    id: u32,
}

impl Watched {
    /// # Errors
    /// As `pidfd_open(2)`.
    pub(super) fn new(child: &std::process::Child) -> io::Result<Self> {
        // The number is the child's: it has not been waited for.
        let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
        Ok(Self { pidfd, id: child.id() })
    }

    /// Takes the exit status, if the child has ended.
    ///
    /// # Errors
    /// If it is gone.
    pub(super) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.wait_with(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }

    /// Blocks the thread until the child has ended.
    pub(super) fn wait_blocking(&self) {
        // An error means that there is nothing to wait for.
        let _ = self.wait_with(WaitIdOptions::EXITED);
    }

    fn wait_with(&self, options: WaitIdOptions) -> io::Result<Option<ExitStatus>> {
        let waited = rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(self.as_fd()), options));
        match waited {
            Ok(status) => Ok(status.map(exit_status)),
            Err(Errno::CHILD) => Err(self.lost()),
            Err(error) => Err(error.into()),
        }
    }

    fn lost(&self) -> io::Error {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "the exit status of the child {} is lost: other code of this process has waited \
                 for it, or ignores SIGCHLD; let it wait for its own children only",
                self.id
            ),
        )
    }

    /// # Errors
    /// As `pidfd_send_signal(2)`, but none if the child has ended.
    pub(super) fn send(&self, signal: c_int) -> io::Result<()> {
        let signal = match Signal::from_named_raw(signal) {
            Some(named) => named,
            // SAFETY: the number is only given to the system, which checks it. That it may be one
            // that the C library uses for itself concerns the threads of this process; a child
            // that was executed has none in common.
            None if signal > 0 => unsafe { Signal::from_raw_unchecked(signal) },
            None => return Err(no_signal(signal)),
        };
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(Errno::INVAL) => Err(no_signal(signal.as_raw())),
            Err(error) => Err(error.into()),
        }
    }

    /// # Errors
    /// As [`send`](Self::send).
    pub(super) fn kill(&self) -> io::Result<()> {
        self.send(Signal::KILL.as_raw())
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// The form of `waitid(2)` as that of `wait(2)`, which std takes.
fn exit_status(status: WaitIdStatus) -> ExitStatus {
    /// The bit of `wait(2)` for "there is a core dump".
    const DUMPED: c_int = 0x80;

    let exited = status.exit_status().map(|code| (code & 0xff) << 8);
    let killed = status.terminating_signal().unwrap_or_default();
    let dumped = if status.dumped() { DUMPED } else { 0 };
    ExitStatus::from_raw(exited.unwrap_or(killed | dumped))
}

fn no_signal(number: c_int) -> io::Error {
    let text = format!("{number} is no signal of this system; take one of those of `kill -l`");
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
