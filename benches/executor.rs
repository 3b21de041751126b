//! What the executor itself costs: spawn and await, yield, a thousand tasks joined, wake-ups from
//! another thread.
//!
//! Run it with `cargo bench -p benches --bench executor`. It shows times, and as ratios how much
//! spawning and yielding are above an await of the same future in place, and how much a round trip
//! between a task and another thread is above one between two bare threads. Those are by the wall,
//! since both threads sleep in between; all else is CPU time.

mod support;

use std::future::Future;
use std::hint::black_box;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use selkie::{Runtime, spawn, yield_now};
use support::{Bench, Sides, cpu_time, wall_time};

/// Tasks that are joined.
const MANY: u64 = 1_000;

fn block_on<T>(runtime: &Runtime, future: impl Future<Output = T>) -> T {
    runtime.block_on(future)
}

async fn trivial() -> u64 {
    black_box(1)
}

/// One task after the other.
async fn spawn_and_await(iterations: u64) {
    for _ in 0..iterations {
        assert_eq!(spawn(trivial()).await, 1);
    }
}

/// The same without a task, on the heap as a task is.
async fn await_boxed(iterations: u64) {
    for _ in 0..iterations {
        assert_eq!(black_box(Box::pin(trivial())).await, 1);
    }
}

async fn yields(iterations: u64) {
    for _ in 0..iterations {
        yield_now().await;
    }
}

/// Many tasks at a time, each of which waits once for its turn.
async fn join_many() {
    let task = || spawn(async { yield_now().await });
    let tasks: Vec<_> = (0..MANY).map(|_| task()).collect();
    futures::future::join_all(tasks).await;
}

/// Many tasks at a time, awaited in the order of their spawning.
async fn await_many() {
    let task = || spawn(async { yield_now().await });
    let tasks: Vec<_> = (0..MANY).map(|_| task()).collect();
    for task in tasks {
        task.await;
    }
}

fn on_this_thread(bench: &mut Bench, runtime: &Runtime) {
    let mut sides = Sides::new("spawn and await");
    sides.add("a boxed future in place", |n| cpu_time(|| block_on(runtime, await_boxed(n))));
    sides.add("a task", |n| cpu_time(|| block_on(runtime, spawn_and_await(n))));
    bench.run(sides);

    let mut sides = Sides::new("yield_now");
    sides.add("a task", |n| cpu_time(|| block_on(runtime, runtime.spawn(yields(n)))));
    sides.add("the future of block_on", |n| cpu_time(|| block_on(runtime, yields(n))));
    sides.add("a thousand tasks", |n| {
        let rounds = n.div_ceil(MANY);
        let tasks: Vec<_> = (0..MANY).map(|_| runtime.spawn(yields(rounds))).collect();
        let whole = cpu_time(|| tasks.into_iter().for_each(|task| block_on(runtime, task)));
        whole.mul_f64(n as f64 / (rounds * MANY) as f64)
    });
    bench.run(sides);

    let mut sides = Sides::new(format!("{MANY} tasks"));
    sides.add("awaited", |n| cpu_time(|| (0..n).for_each(|_| block_on(runtime, await_many()))));
    sides.add("join_all", |n| cpu_time(|| (0..n).for_each(|_| block_on(runtime, join_many()))));
    bench.run(sides);
}

/// Two threads, each of which sleeps until the other one has woken it.
fn bare_round_trips(iterations: u64) -> Duration {
    let (ask, asked) = mpsc::channel::<mpsc::SyncSender<()>>();
    let other =
        thread::spawn(move || asked.iter().for_each(|answer| assert!(answer.send(()).is_ok())));
    let whole = wall_time(|| {
        for _ in 0..iterations {
            let (answer, answered) = mpsc::sync_channel(1);
            ask.send(answer).expect("the other thread listens");
            answered.recv().expect("the other thread answers");
        }
    });
    drop(ask);
    other.join().expect("the other thread does not panic");
    whole
}

/// A task that another thread wakes, while the loop sleeps.
fn round_trips(runtime: &Runtime, iterations: u64) -> Duration {
    let (ask, asked) = mpsc::channel::<oneshot::Sender<()>>();
    let other =
        thread::spawn(move || asked.iter().for_each(|answer| assert!(answer.send(()).is_ok())));
    let task = runtime.spawn(async move {
        for _ in 0..iterations {
            let (answer, answered) = oneshot::channel();
            ask.send(answer).expect("the other thread listens");
            answered.await.expect("the other thread answers");
        }
    });
    let whole = wall_time(|| block_on(runtime, task));
    other.join().expect("the other thread does not panic");
    whole
}

/// Tasks that another thread spawns, as fast as it can.
fn remote_spawns(runtime: &Runtime, iterations: u64) -> Duration {
    let remote = runtime.remote();
    let (done, is_done) = oneshot::channel();
    wall_time(|| {
        let other = thread::spawn(move || {
            for _ in 0..iterations {
                remote.spawn(trivial).expect("the runtime is there").detach();
            }
            remote.spawn(|| async { done.send(()) }).expect("the runtime is there").detach();
        });
        block_on(runtime, is_done).expect("the last task runs");
        other.join().expect("the other thread does not panic");
    })
}

fn across_threads(bench: &mut Bench, runtime: &Runtime) {
    let mut sides = Sides::new("wake from another thread, round trip");
    sides.add("two bare threads", bare_round_trips);
    sides.add("a task and a thread", |n| round_trips(runtime, n));
    bench.run(sides);

    let mut sides = Sides::new("spawn from another thread");
    sides.add("a trivial task", |n| remote_spawns(runtime, n));
    bench.run(sides);
}

fn main() -> io::Result<()> {
    let mut bench = Bench::from_args();
    let runtime = Runtime::new()?;
    on_this_thread(&mut bench, &runtime);
    across_threads(&mut bench, &runtime);
    bench.finish();
    Ok(())
}
