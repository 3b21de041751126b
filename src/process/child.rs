//! Layer 6: a child that runs, or has ended.
//! Invariant: from the moment it was started it is either watched, or killed and waited for.

use std::ffi::c_int;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::process::{self, ExitStatus, Output};
use std::task::{Context, Poll};

use futures_io::AsyncRead;

use super::orphan::Orphan;
use super::stdin::ChildStdin;
use super::watched::Watched;
use crate::io::Async;
use crate::runtime::Remote;

/// The pipe from a child's standard output; an [`AsyncRead`].
pub type ChildStdout = Async<process::ChildStdout>;

/// The pipe from a child's standard error; an [`AsyncRead`].
pub type ChildStderr = Async<process::ChildStderr>;

/// A child process, from [`Command::spawn`](super::Command::spawn).
///
/// Dropped, it goes on to run, unless [`kill_on_drop`](super::Command::kill_on_drop) was asked
/// for; the runtime in which it was started waits for it then, so that no zombie stays behind. A
/// runtime that is dropped does not wait for children that run on.
#[derive(Debug)]
pub struct Child {
    /// The pipe to its standard input, if that was asked for.
    pub stdin: Option<ChildStdin>,
    /// The pipe from its standard output, if that was asked for.
    pub stdout: Option<ChildStdout>,
    /// The pipe from its standard error, if that was asked for.
    pub stderr: Option<ChildStderr>,
    state: State,
    id: u32,
    kill_on_drop: bool,
    runtime: Remote,
}

#[derive(Debug)]
enum State {
    Running(Async<Watched>),
    Ended(ExitStatus),
}

impl Child {
    /// Watches a child that was started just now.
    ///
    /// # Errors
    /// If there are no descriptors left, or the system has no pidfds. The child is killed then.
    pub(super) fn adopt(
        mut started: process::Child,
        kill_on_drop: bool,
        runtime: Remote,
    ) -> io::Result<Self> {
        match Self::watch(&mut started, kill_on_drop, runtime) {
            Ok(child) => Ok(child),
            Err(error) => {
                end(&mut started);
                Err(unwatchable(started.id(), &error))
            }
        }
    }

    fn watch(
        started: &mut process::Child,
        kill_on_drop: bool,
        runtime: Remote,
    ) -> io::Result<Self> {
        Ok(Self {
            stdin: started.stdin.take().map(ChildStdin::new).transpose()?,
            stdout: started.stdout.take().map(Async::new).transpose()?,
            stderr: started.stderr.take().map(Async::new).transpose()?,
            state: State::Running(Async::new_nonblocking(Watched::new(started)?)?),
            id: started.id(),
            kill_on_drop,
            runtime,
        })
    }

    /// The number of the process. It is another's, perhaps, once the child was waited for.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Waits until the child has ended, and closes [`stdin`](Self::stdin) before, so that a child
    /// that reads to the end of file does end.
    ///
    /// A child that writes more into a pipe than that holds waits for a reader: read it, or drop
    /// it. The status is kept, so this may be called again.
    ///
    /// # Errors
    /// Of kind `NotFound` if other code of the process took the exit status; of kind `BrokenPipe`
    /// if the runtime is gone.
    ///
    /// # Cancel safety
    /// May be dropped at any time: no exit status is lost. `stdin` is closed.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        let status = match &self.state {
            State::Running(watched) => {
                let ended =
                    |it: &Watched| it.try_wait()?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
                watched.read_with(ended).await?
            }
            State::Ended(status) => *status,
        };
        self.state = State::Ended(status);
        Ok(status)
    }

    /// The exit status, if the child has ended; waits for nothing, and closes nothing.
    ///
    /// # Errors
    /// Of kind `NotFound` if other code of the process took the exit status.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        match &self.state {
            State::Running(watched) => {
                let status = watched.get_ref().try_wait()?;
                if let Some(status) = status {
                    self.state = State::Ended(status);
                }
                Ok(status)
            }
            State::Ended(status) => Ok(Some(*status)),
        }
    }

    /// Reads standard output and standard error to their ends, where they are pipes, then waits
    /// until the child has ended; closes [`stdin`](Self::stdin) before.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and as read(2).
    ///
    /// # Cancel safety
    /// May be dropped at any time; the child is dropped then, and what was read is lost.
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        self.stdin = None;
        let mut output = Gathered::new(self.stdout.take());
        let mut error = Gathered::new(self.stderr.take());
        poll_fn(|cx| {
            let [output, error] = [output.poll(cx)?, error.poll(cx)?];
            match output.is_ready() && error.is_ready() {
                true => Poll::Ready(io::Result::Ok(())),
                false => Poll::Pending,
            }
        })
        .await?;
        let status = self.wait().await?;
        Ok(Output { status, stdout: output.bytes, stderr: error.bytes })
    }

    /// Kills the child, with SIGKILL; [`wait`](Self::wait) for it afterwards. Nothing happens if
    /// it has ended.
    ///
    /// # Errors
    /// As `pidfd_send_signal(2)`: of kind `PermissionDenied` for a child of other rights.
    pub fn kill(&mut self) -> io::Result<()> {
        match &self.state {
            State::Running(watched) => watched.get_ref().kill(),
            State::Ended(_) => Ok(()),
        }
    }

    /// Sends the child a signal, by the number that the libc crate has for it (15 is SIGTERM) or
    /// as one of the constants of [`signal`](crate::signal). Nothing happens if it has ended.
    ///
    /// # Errors
    /// As [`kill`](Self::kill), and of kind `InvalidInput` for a number that is no signal.
    pub fn send_signal(&mut self, signal: impl Into<c_int>) -> io::Result<()> {
        match &self.state {
            State::Running(watched) => watched.get_ref().send(signal.into()),
            State::Ended(_) => Ok(()),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let nothing_more = State::Ended(ExitStatus::default());
        let State::Running(watched) = mem::replace(&mut self.state, nothing_more) else { return };
        // Whoever reads or writes them sees the end of them before the child's.
        drop((self.stdin.take(), self.stdout.take(), self.stderr.take()));
        // Nobody else has a handle on it.
        let Ok(watched) = watched.into_inner() else { return };
        let is_killed = self.kill_on_drop && watched.kill().is_ok();
        Orphan::new(watched, is_killed).leave_to(&self.runtime);
    }
}

/// What comes out of a pipe.
struct Gathered<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Gathered<R> {
    fn new(pipe: Option<R>) -> Self {
        Self { pipe, bytes: Vec::new() }
    }

    /// Ready when it has come to its end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        /// Bytes at once; a pipe holds 64 KiB.
        const CHUNK: usize = 16 * 1024;

        while let Some(pipe) = &mut self.pipe {
            let len = self.bytes.len();
            self.bytes.resize(len + CHUNK, 0);
            let read = Pin::new(pipe).poll_read(cx, &mut self.bytes[len..]);
            let count = if let Poll::Ready(Ok(count)) = &read { *count } else { 0 };
            self.bytes.truncate(len + count);
            match read? {
                Poll::Ready(0) => self.pipe = None,
                Poll::Ready(_more) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Kills a child that cannot be watched, and waits for it.
fn end(started: &mut process::Child) {
    // Only while it is a child may its number be used: it might be another's by now. To kill it
    // fails for one of other rights only, which is left alone then.
    if let Ok(None) = started.try_wait()
        && started.kill().is_ok()
    {
        let _ = started.wait();
    }
}

fn unwatchable(id: u32, error: &io::Error) -> io::Error {
    let text = format!(
        "the child {id} cannot be watched, and was killed: {error}; that needs a descriptor for \
         it, and one for each pipe (`ulimit -n`), and Linux 5.4"
    );
    io::Error::new(error.kind(), text)
}
