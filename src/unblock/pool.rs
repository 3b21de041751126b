//! Layer 5: the threads of one runtime, and the jobs that wait for them.
//! Invariant: a job is run by the one who takes it out of the queue, and no job is run or dropped
//! under the lock. As many threads wait as there are jobs, or as many threads run as may.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::job::{Job, contain};

/// What every thread is called. Linux shows 15 bytes, and so many these are.
const THREAD_NAME: &str = "selkie-blocking";

/// A runtime's own pool: dropped with the runtime, together with the jobs that have not begun.
pub(super) struct Pool(Arc<Shared>);

/// What the runtime, its threads and the futures that wait have in common.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// Called for each job, and when the pool is closed.
    changed: Condvar,
    most_threads: usize,
    idle_time: Duration,
}

#[derive(Default)]
struct Queue {
    /// By ticket, so the oldest is the first.
    jobs: BTreeMap<Ticket, Box<dyn Job>>,
    next_ticket: u64,
    /// Threads that run or are about to be started.
    threads: usize,
    /// Those of them that wait for a job, or look for one next.
    idle: usize,
    is_closed: bool,
}

/// A job's place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

impl Pool {
    /// A pool without a thread.
    pub(super) fn new(most_threads: usize, idle_time: Duration) -> Self {
        Self(Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            most_threads,
            idle_time,
        }))
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.0)
    }
}

impl Drop for Pool {
    /// Sends the idle threads away. Those that run a job follow when it has ended.
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.is_closed = true;
        let jobs = mem::take(&mut queue.jobs);
        drop(queue);
        self.0.changed.notify_all();
        jobs.into_values().for_each(|job| contain(|| drop(job)));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code of a user runs under the lock, so a poisoned one is as good as any.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job, and starts a thread for it if all are busy and there may be one more.
    ///
    /// # Errors
    /// If there is no thread at all and the system starts none. The job is dropped then.
    pub(super) fn push(self: &Arc<Self>, job: Box<dyn Job>) -> io::Result<Ticket> {
        let mut queue = self.lock();
        let ticket = Ticket(queue.next_ticket);
        queue.next_ticket += 1;
        queue.jobs.insert(ticket, job);
        let needs_thread = queue.jobs.len() > queue.idle && queue.threads < self.most_threads;
        queue.threads += usize::from(needs_thread);
        drop(queue);
        if needs_thread {
            self.start_thread(ticket)?;
        } else {
            self.changed.notify_one();
        }
        Ok(ticket)
    }

    fn start_thread(self: &Arc<Self>, ticket: Ticket) -> io::Result<()> {
        let shared = Arc::clone(self);
        let started = thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(move || {
            shared.work();
        });
        let Err(error) = started else { return Ok(()) };
        let mut queue = self.lock();
        queue.threads -= 1;
        // Otherwise those that run take it when they are done.
        let given_up = if queue.threads == 0 { queue.jobs.remove(&ticket) } else { None };
        drop(queue);
        if given_up.is_some() { Err(error) } else { Ok(()) }
    }

    /// Takes a job that has not begun out of the queue, so that it never will.
    pub(super) fn remove(&self, ticket: Ticket) -> Option<Box<dyn Job>> {
        self.lock().jobs.remove(&ticket)
    }

    /// What a thread does: one job after the other, until it has been idle for long enough.
    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some((_, mut job)) = queue.jobs.pop_first() {
                drop(queue);
                job.run();
                // Who is woken may have the next job at once. It needs no other thread.
                self.lock().idle += 1;
                job.deliver();
                queue = self.lock();
                queue.idle -= 1;
            } else if queue.is_closed {
                break;
            } else {
                queue.idle += 1;
                let waited = self.changed.wait_timeout(queue, self.idle_time);
                let (guard, ended) = waited.unwrap_or_else(PoisonError::into_inner);
                queue = guard;
                queue.idle -= 1;
                if ended.timed_out() && queue.jobs.is_empty() {
                    break;
                }
            }
        }
        queue.threads -= 1;
    }
}
