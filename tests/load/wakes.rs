//! Ten million wakes from eight threads, in rounds that the woken task acknowledges.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use selkie::{Builder, Remote, timeout};

use crate::backends::Probed;
use crate::harness::{PATIENCE, tell};
use crate::util::{DEADLINE, backend};

loads! {
    ten_million_wakes_from_eight_threads_lose_none,
}

const THREADS: usize = 8;
const WAKES: u64 = 10_000_000;

/// Wakes in a round, before the thread waits to be told that the task has seen them: from one, so
/// that the loop goes to sleep in between, to as many as make it find the next at once. A round
/// takes the next of these sizes.
const SIZES: [u64; 8] = [1, 1, 2, 1, 5, 1, 20, 169];

/// New tasks from each thread, one each time that it has gone through the sizes.
fn wants_a_task(round: usize) -> bool {
    round.is_multiple_of(SIZES.len())
}

/// What a thread and its task tell each other.
struct Counter {
    /// Wakes until now, counted before each.
    rung: AtomicU64,
    /// What the task saw of `rung` at its last poll.
    heard: AtomicU64,
    polls: AtomicUsize,
    is_over: AtomicBool,
    thread: Thread,
}

/// Runs on the loop until the thread has done its part.
async fn listen(counter: Arc<Counter>, ready: oneshot::Sender<Waker>) {
    let mut ready = Some(ready);
    poll_fn(|cx| {
        if let Some(ready) = ready.take() {
            ready.send(cx.waker().clone()).unwrap();
        }
        counter.polls.fetch_add(1, SeqCst);
        let is_over = counter.is_over.load(SeqCst);
        counter.heard.store(counter.rung.load(SeqCst), SeqCst);
        counter.thread.unpark();
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

struct Done {
    rounds: usize,
    polls: usize,
    tasks: usize,
}

/// Waits until the task has heard of all wakes.
fn wait_for_echo(counter: &Counter, rung: u64) {
    let deadline = Instant::now() + DEADLINE;
    while counter.heard.load(SeqCst) < rung {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "a wake is lost: the task has not heard of {rung}");
        thread::park_timeout(left);
    }
}

fn ring(remote: &Remote) -> io::Result<Done> {
    let counter = Arc::new(Counter {
        rung: AtomicU64::new(0),
        heard: AtomicU64::new(0),
        polls: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        thread: thread::current(),
    });
    let (sender, waker) = oneshot::channel();
    let theirs = Arc::clone(&counter);
    let task = remote.spawn(move || listen(theirs, sender))?;
    let waker = futures::executor::block_on(waker).unwrap();
    let (mut rung, mut round, mut tasks) = (0, 0, Vec::new());
    let share = WAKES / THREADS as u64;
    while rung < share {
        if wants_a_task(round) {
            let made = round;
            tasks.push((remote.spawn(move || async move { made })?, made));
        }
        for _ in 0..SIZES[round % SIZES.len()].min(share - rung) {
            rung += 1;
            counter.rung.store(rung, SeqCst);
            waker.wake_by_ref();
        }
        wait_for_echo(&counter, rung);
        round += 1;
    }
    let made = tasks.len();
    for (task, round) in tasks {
        assert_eq!(futures::executor::block_on(task), round);
    }
    counter.is_over.store(true, SeqCst);
    waker.wake();
    futures::executor::block_on(task);
    Ok(Done { rounds: round, polls: counter.polls.load(SeqCst), tasks: made })
}

fn ten_million_wakes_from_eight_threads_lose_none() {
    let (probe, probed) = Probed::open();
    let runtime = Builder::new().build_with(probed).unwrap();
    let remote = runtime.remote();
    let (ended, all_ended) = oneshot::channel::<()>();
    let ended = Arc::new(ended);
    let threads: Vec<JoinHandle<Done>> = (0..THREADS)
        .map(|_| {
            let (remote, ended) = (remote.clone(), Arc::clone(&ended));
            thread::spawn(move || {
                let _ended = ended;
                ring(&remote).unwrap()
            })
        })
        .collect();
    drop(ended);
    // Ends when the last of the threads has dropped its part; in a panic too.
    let start = Instant::now();
    let over = runtime.block_on(timeout(PATIENCE, all_ended)).unwrap();
    over.expect("the loop does not end").expect_err("nobody sends, they only drop");
    let elapsed = start.elapsed();
    let done: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    // Nothing is left: the loop would go on.
    let rest = runtime.turn(Some(Duration::ZERO)).unwrap();
    assert!(!runtime.has_ready_tasks(), "{rest:?}");
    let sum = |part: fn(&Done) -> usize| done.iter().map(part).sum::<usize>();
    assert!(sum(|done| done.polls) >= sum(|done| done.rounds), "a round went without a poll");
    tell(format_args!(
        "{}: {WAKES} wakes from {THREADS} threads in {} acknowledged rounds and {} polls, {} \
         tasks from there, in {elapsed:?}; the loop was woken from sleep {} times",
        backend().name(),
        sum(|done| done.rounds),
        sum(|done| done.polls),
        sum(|done| done.tasks),
        probe.notifications()
    ));
}
