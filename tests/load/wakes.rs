//! Ten million wakes from eight threads, in rounds that the woken task acknowledges; and from one,
//! at every moment of the loop's falling asleep, when no other thread's wake makes up for a lost one.

use std::cell::RefCell;
use std::future::poll_fn;
use std::hint::{black_box, spin_loop};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use selkie::{Builder, Remote, spawn, timeout};

use crate::backends::Probed;
use crate::harness::{PATIENCE, tell};
use crate::util::{DEADLINE, backend};

loads! {
    ten_million_wakes_from_eight_threads_lose_none,
    a_wake_at_any_moment_of_falling_asleep_is_not_lost,
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
}

impl Counter {
    fn new() -> Self {
        Self {
            rung: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            polls: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        }
    }
}

/// Runs on the loop until the thread has done its part; calls `then` whenever it has heard.
async fn listen(counter: Arc<Counter>, ready: oneshot::Sender<Waker>, then: impl Fn()) {
    let mut ready = Some(ready);
    poll_fn(|cx| {
        if let Some(ready) = ready.take() {
            ready.send(cx.waker().clone()).unwrap();
        }
        counter.polls.fetch_add(1, SeqCst);
        let is_over = counter.is_over.load(SeqCst);
        counter.heard.store(counter.rung.load(SeqCst), SeqCst);
        then();
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
    let counter = Arc::new(Counter::new());
    let (sender, waker) = oneshot::channel();
    let theirs = Arc::clone(&counter);
    let me = thread::current();
    let task = remote.spawn(move || listen(theirs, sender, move || me.unpark()))?;
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
    let over = runtime.block_on(timeout(PATIENCE, all_ended));
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

/// Wakes at the moment of falling asleep, and over how long, in steps of a loop, they are spread:
/// from before the loop looks at its queue for the last time to after it has blocked.
const MOMENTS: u64 = 200_000;
const SPREAD: u64 = 2_000;

/// As [`listen`], beside a task that keeps the loop awake a little, each time for another while.
async fn listen_and_linger(counter: Arc<Counter>, ready: oneshot::Sender<Waker>) {
    let lingerer = Rc::new(RefCell::new(None));
    let (theirs, heard) = (Rc::clone(&lingerer), Arc::clone(&counter));
    let linger = poll_fn(move |cx| {
        *theirs.borrow_mut() = Some(cx.waker().clone());
        (0..heard.heard.load(SeqCst) % SPREAD).for_each(|step| _ = black_box(step));
        Poll::<()>::Pending
    });
    let _linger = spawn(linger);
    let wake = move || {
        if let Some(lingerer) = &*lingerer.borrow() {
            Waker::wake_by_ref(lingerer);
        }
    };
    listen(counter, ready, wake).await;
}

/// Spins until `heard` has come to `rung`: to be told by a park takes longer than the moment lasts.
fn spin_until(counter: &Counter, rung: u64) {
    let start = Instant::now();
    for spins in 1_u64.. {
        if counter.heard.load(SeqCst) == rung {
            return;
        }
        spin_loop();
        if spins.is_multiple_of(10_000) {
            assert!(start.elapsed() < DEADLINE, "wake {rung} is lost");
            thread::yield_now();
        }
    }
}

fn a_wake_at_any_moment_of_falling_asleep_is_not_lost() {
    let (probe, probed) = Probed::open();
    let runtime = Builder::new().build_with(probed).unwrap();
    let (remote, (ended, all_ended)) = (runtime.remote(), oneshot::channel::<()>());
    let thread = thread::spawn(move || {
        let _ended = ended;
        let counter = Arc::new(Counter::new());
        let (sender, waker) = oneshot::channel();
        let theirs = Arc::clone(&counter);
        let task = remote.spawn(move || listen_and_linger(theirs, sender)).unwrap();
        let waker = futures::executor::block_on(waker).unwrap();
        for rung in 1..=MOMENTS {
            counter.rung.store(rung, SeqCst);
            waker.wake_by_ref();
            spin_until(&counter, rung);
        }
        drop(task);
    });
    let over = runtime.block_on(timeout(PATIENCE, all_ended));
    over.expect("the loop does not end").expect_err("nobody sends, they only drop");
    thread.join().unwrap();
    tell(format_args!(
        "{}: {MOMENTS} wakes of a loop that falls asleep: {} after it had, the others before",
        backend().name(),
        probe.notifications()
    ));
}
