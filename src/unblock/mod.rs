//! Work that blocks, such as that on files, done by threads while the loop goes on (feature
//! `unblock`).
//!
//! ```
//! # let path = std::env::temp_dir().join(format!("selkie-unblock-{}", std::process::id()));
//! # std::fs::write(&path, "three\nlines\nhere\n")?;
//! # let file = path.clone();
//! selkie::block_on(async move {
//!     // The loop serves all its other tasks while a thread reads the file.
//!     let text = selkie::unblock(|| std::fs::read_to_string(path)).await?;
//!     assert_eq!(text.lines().count(), 3);
//!     Ok::<(), std::io::Error>(())
//! })?;
//! # std::fs::remove_file(file)?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Threads
//! Each runtime has a pool of its own, and none before the first job. A thread is started when a
//! job comes and all are busy, up to [`Builder::blocking_threads`], usually 8; further jobs wait
//! in the order in which they came. A thread that finds no job for [`Builder::blocking_idle`],
//! usually 5 seconds, ends. All are named `selkie-blocking`.
//!
//! # Another world
//! In a [`world`](crate::world) that says so, as that of a simulation, a job is run at once, by
//! who asks for it.
//!
//! # The end of the runtime
//! A runtime that is dropped waits for no job. Those that have not begun are dropped. Those that
//! have begun are left to end by themselves, on threads that end with them; at the end of the
//! process they are cut off, wherever they are. If a job must be complete, such as a file that is
//! being written, await it before the runtime goes.

// Layer 5: a room on the public interface; who awaits a job is woken as from any other thread.
// Invariant: no panic of a job leaves its thread but to the one who awaits the job.

mod job;
mod pool;
mod slot;

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::FusedFuture;

use self::job::{Job, Work};
use self::pool::{Pool, Shared, Ticket};
use self::slot::{Outcome, Taker, slot};
use crate::executor::{Noted, current};
use crate::runtime::{Builder, local, setting};
use crate::selector::world::Jobs;

/// Threads of a runtime at most.
///
/// These jobs wait for the disk or for a name server more than they compute, so there are more
/// threads than processors. A name server that does not answer holds one for 10 seconds and more;
/// with 8, several such lookups leave room for the others, where 4 (as many as libuv has) are soon
/// all taken. Much more than 8 would be too many for a program with a runtime on each processor:
/// every runtime has its own.
const THREADS: usize = 8;

/// How long a thread waits for another job. To start one takes some 50 µs, so a few seconds make
/// that cost vanish, while a burst's threads are soon gone.
const IDLE_TIME: Duration = Duration::from_secs(5);

struct MostThreads(usize);
struct IdleTime(Duration);

/// Settings of the feature `unblock`.
impl Builder {
    /// How many threads the runtime may have at once for [`unblock`]. Usually 8.
    ///
    /// # Panics
    /// If `threads` is zero: no job could ever begin.
    #[must_use]
    #[track_caller]
    pub fn blocking_threads(self, threads: usize) -> Self {
        assert!(threads > 0, "jobs need a thread to run on; allow 1 at least");
        self.local(MostThreads(threads))
    }

    /// How long a thread of [`unblock`] waits for another job before it ends. Usually 5 seconds.
    #[must_use]
    pub fn blocking_idle(self, time: Duration) -> Self {
        self.local(IdleTime(time))
    }
}

/// Has `job` run on a thread of the runtime's pool. Await the future for its value.
///
/// The job is queued by this call, whether or not the future is polled. It cannot be interrupted
/// once it has begun.
///
/// # Panics
/// If called outside [`Runtime::block_on`](crate::Runtime::block_on),
/// [`Runtime::enter`](crate::Runtime::enter) and tasks; and if the pool has no thread and the
/// system starts none ([`try_unblock`] returns that error).
///
/// The future panics if the job did, with the same payload; and if the job was dropped because the
/// runtime was, which only somebody outside of that runtime can see.
///
/// # Cancel safety
/// If the future is dropped before the job has begun, the job is dropped, too. If it has begun, it
/// runs to its end, and its value is dropped on its thread.
#[track_caller]
pub fn unblock<F, T>(job: F) -> Unblock<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match try_unblock(job) {
        Ok(unblock) => unblock,
        Err(error) => panic!("there is no thread for work that blocks: {error}"),
    }
}

/// As [`unblock`], but returns the error if the pool has no thread and the system starts none. The
/// job is dropped then.
///
/// # Errors
/// As pthread_create(3): `EAGAIN` if there are too many threads, of kind `WouldBlock`.
///
/// # Panics
/// As [`unblock`], except for that.
#[track_caller]
pub fn try_unblock<F, T>(job: F) -> io::Result<Unblock<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (filler, taker) = slot();
    let mut work = Box::new(Work::new(job, filler));
    if runs_at_once() {
        work.run();
        work.deliver();
        return Ok(Unblock { taker, job: Some(Begun::AtOnce), noted: None });
    }
    let pool = local(|| {
        let most_threads = setting::<MostThreads>().map_or(THREADS, |setting| setting.0);
        let idle_time = setting::<IdleTime>().map_or(IDLE_TIME, |setting| setting.0);
        Pool::new(most_threads, idle_time)
    })
    .shared();
    let ticket = pool.push(work)?;
    Ok(Unblock { taker, job: Some(Begun::Queued(pool, ticket)), noted: None })
}

/// True if the runtime's world has no threads.
#[track_caller]
fn runs_at_once() -> bool {
    let executor = current::expect();
    executor.reactor.world().is_some_and(|world| world.jobs() == Jobs::AtOnce)
}

/// The future that [`unblock`] returns.
#[must_use = "if it is dropped, the job is not begun, if it was not yet"]
pub struct Unblock<T> {
    taker: Taker<T>,
    /// None once the outcome was taken.
    job: Option<Begun>,
    noted: Option<Noted>,
}

/// How far a job has got when somebody awaits it.
enum Begun {
    /// It has its place in the queue of a pool.
    Queued(Arc<Shared>, Ticket),
    /// It was done within the call.
    AtOnce,
}

impl<T> Future for Unblock<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let polled = self.taker.poll(cx);
        if polled.is_pending() {
            Noted::note(&mut self.noted, || "unblock: a job on another thread".into());
        }
        let outcome = ready!(polled);
        (self.job, self.noted) = (None, None);
        match outcome {
            Outcome::Returned(value) => Poll::Ready(value),
            Outcome::Panicked(payload) => resume_unwind(payload),
            Outcome::Dropped => panic!(
                "the job was dropped before it began, because its runtime was; keep the runtime \
                 for as long as others await its jobs"
            ),
        }
    }
}

impl<T> FusedFuture for Unblock<T> {
    fn is_terminated(&self) -> bool {
        self.job.is_none()
    }
}

impl<T> Drop for Unblock<T> {
    fn drop(&mut self) {
        if let Some(Begun::Queued(pool, ticket)) = &self.job {
            // With what it captures, and not under the lock.
            drop(pool.remove(*ticket));
        }
    }
}

impl<T> fmt::Debug for Unblock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_ended = self.is_terminated();
        f.debug_struct("Unblock").field("has_ended", &has_ended).finish_non_exhaustive()
    }
}
