//! Layer 4: waiting for readiness itself, as poll(2) tells it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Async;
use super::operation::Operation;
use crate::interest::{Interest, Readiness};
use crate::reactor::Direction;
use crate::sys::{AsFd, BorrowedFd};

impl<T: AsFd> Async<T> {
    /// Waits until the source is readable: until a read would not block, as poll(2) tells.
    ///
    /// # Errors
    /// As poll(2), and of kind `BrokenPipe` if the runtime is gone.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn readable(&self) -> io::Result<()> {
        self.operation(Direction::Read, || self.would_not_block(Interest::READ)).await
    }

    /// Waits until the source is writable: until a write would not block, as poll(2) tells.
    ///
    /// # Errors
    /// As [`readable`](Self::readable).
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn writable(&self) -> io::Result<()> {
        self.operation(Direction::Write, || self.would_not_block(Interest::WRITE)).await
    }

    /// Waits until the source is ready for any of `interest`; returns for which, and whether there
    /// is an error or an end, as poll(2) tells.
    ///
    /// A hang-up and an error end the wait whatever the interest, and are reported as READ and
    /// WRITE masked by it, beside their own bits. (On `select(2)` a hang-up alone ends only a wait
    /// to read: see [`Readiness`].)
    ///
    /// # Errors
    /// As [`readable`](Self::readable), and of kind `InvalidInput` if the interest is empty.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn ready(&self, interest: Interest) -> io::Result<Readiness> {
        if interest.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a wait has an empty interest; ask for READ, WRITE or PRIORITY",
            ));
        }
        // Each asks for the whole interest. To find nothing at all is to find nothing there.
        Either([Direction::Read, Direction::Write, Direction::Priority].map(|direction| {
            let is_wanted = interest.contains(direction.interest());
            is_wanted.then(|| self.operation(direction, || ready_now(self.descriptor(), interest)))
        }))
        .await
    }

    /// As [`readable`](Self::readable), for hand-written futures; see
    /// [`poll_read_with`](Self::poll_read_with).
    ///
    /// # Errors
    /// As [`readable`](Self::readable).
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_operation(Direction::Read, cx, || self.would_not_block(Interest::READ))
    }

    /// As [`writable`](Self::writable), for hand-written futures; see
    /// [`poll_read_with`](Self::poll_read_with).
    ///
    /// # Errors
    /// As [`writable`](Self::writable).
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_operation(Direction::Write, cx, || self.would_not_block(Interest::WRITE))
    }

    fn would_not_block(&self, interest: Interest) -> io::Result<()> {
        ready_now(self.descriptor(), interest).map(|_| ())
    }
}

/// Asks the system whether an operation would block: what the reactor knows may be stale when
/// the source was read or written directly.
pub(super) fn ready_now(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<Readiness> {
    let meanings = [
        (PollFlags::IN, Readiness::READ),
        (PollFlags::OUT, Readiness::WRITE),
        (PollFlags::PRI, Readiness::PRIORITY),
        #[cfg(target_os = "linux")]
        (PollFlags::RDHUP, Readiness::READ.union(Readiness::READ_CLOSED)),
        (PollFlags::HUP, Readiness::HANG_UP),
        (PollFlags::ERR, Readiness::FAILED),
        (PollFlags::NVAL, Readiness::FAILED),
    ];
    let mut asked = PollFlags::empty();
    asked.set(PollFlags::IN, interest.contains(Interest::READ));
    asked.set(PollFlags::OUT, interest.contains(Interest::WRITE));
    asked.set(PollFlags::PRI, interest.contains(Interest::PRIORITY));
    #[cfg(target_os = "linux")]
    asked.set(PollFlags::RDHUP, interest.contains(Interest::READ));
    let mut fds = [PollFd::from_borrowed_fd(fd, asked)];
    if poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? == 0 {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let happened = fds[0].revents();
    let meant = meanings.into_iter().filter(|(flag, _)| happened.contains(*flag));
    let readiness = meant.fold(Readiness::empty(), |all, (_, meaning)| all | meaning);
    Ok(readiness.masked_by(interest))
}

/// The first of some operations that ends, each where it is wanted.
struct Either<'a, F>([Option<Operation<'a, F>>; 3]);

impl<R, F: FnMut() -> io::Result<R>> Future for Either<'_, F> {
    type Output = io::Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut operations = self.0.iter_mut().flatten();
        let ready = operations.find_map(|operation| match Pin::new(operation).poll(cx) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    }
}
