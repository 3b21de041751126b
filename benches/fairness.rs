//! What the two constants of fairness cost, and what they buy: `polls_per_turn`, usually 128, and
//! `operations_per_poll`, usually 32, each over powers of two while the other one is as usual.
//!
//! Run it with `cargo bench -p benches --bench fairness`, or `cargo bench -p benches --bench
//! fairness -- operations_per_poll`. It shows what tasks that never wait get done (a task that
//! yields, a firehose that writes and reads messages of 64 bytes), and how long their neighbours
//! wait: a task in the queue, an echo over a socket, a timer of 1 ms. The ratios are to the usual
//! value, the first of each line. All is CPU time, which has the thread for itself, but for the
//! lateness of the timer, which is by the wall and has the machine's noise.

mod support;

use std::future::Future;
use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, Builder, Runtime, Timer, yield_now};
use support::{Bench, Sides, cpu_time};

/// The usual one first.
const POLLS: [u32; 11] = [128, 1, 2, 4, 8, 16, 32, 64, 256, 512, 1024];

/// The usual one first. Beyond the last, a turn of firehoses takes a tenth of a second.
const OPERATIONS: [u32; 9] = [32, 1, 2, 4, 8, 16, 64, 128, 256];

/// Firehoses beside a neighbour. A turn is as long with one as with many.
const FIREHOSES: usize = 2;

const MESSAGE: usize = 64;

/// Sets one of the constants.
type Setting = fn(Builder, u32) -> Builder;

fn block_on<T>(runtime: &Runtime, future: impl Future<Output = T>) -> T {
    runtime.block_on(future)
}

fn socket_pair() -> (Async<UnixStream>, Async<UnixStream>) {
    Async::<UnixStream>::pair().expect("the system has descriptors to spare")
}

async fn yields(count: u64) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// Writes a message and reads it, which never has to wait: two operations each.
async fn firehose(messages: u64) -> io::Result<()> {
    let (mut one, mut other) = socket_pair();
    let mut message = [0; MESSAGE];
    for _ in 0..messages {
        one.write_all(&message).await?;
        other.read_exact(&mut message).await?;
    }
    Ok(())
}

/// Sends a message to a task that sends it back. Both wait for readiness, and so for a look at
/// I/O.
async fn echoes(count: u64) -> io::Result<()> {
    let (mut near, far) = socket_pair();
    let echo = selkie::spawn(async move { futures::io::copy(&far, &mut &far).await });
    let mut message = [0; MESSAGE];
    for _ in 0..count {
        near.write_all(&message).await?;
        near.read_exact(&mut message).await?;
    }
    near.close().await?;
    echo.await.map(drop)
}

/// How late timers of 1 ms are, in all.
async fn lateness(timers: u64) -> Duration {
    let mut late = Duration::ZERO;
    for _ in 0..timers {
        let due = Timer::after(Duration::from_millis(1)).await;
        late += Instant::now().saturating_duration_since(due);
    }
    late
}

/// A runtime in which firehoses run for as long as it does.
fn flooded(builder: Builder, firehoses: usize) -> Runtime {
    let runtime = builder.build().expect("the system has descriptors to spare");
    (0..firehoses).for_each(|_| runtime.spawn(firehose(u64::MAX)).detach());
    runtime
}

struct Sweep<'b> {
    bench: &'b mut Bench,
    name: &'static str,
    set: Setting,
    values: &'static [u32],
}

impl Sweep<'_> {
    /// Measures `work` with each value of the constant.
    fn of(&mut self, title: &str, firehoses: usize, work: fn(&Runtime, u64) -> Duration) {
        let mut sides = Sides::new(format!("{}, {title}", self.name));
        for &value in self.values {
            // Made when it is first wanted, so that what a filter leaves out costs nothing.
            let (mut runtime, set) = (None, self.set);
            sides.add(value, move |count| {
                let make = || flooded(set(Builder::new(), value), firehoses);
                work(runtime.get_or_insert_with(make), count)
            });
        }
        self.bench.run(sides);
    }

    fn neighbours(&mut self) {
        self.of("echo beside firehoses", FIREHOSES, |runtime, count| {
            cpu_time(|| block_on(runtime, runtime.spawn(echoes(count))).expect("both talk"))
        });
        self.of("lateness of 1 ms beside firehoses", FIREHOSES, |runtime, count| {
            block_on(runtime, runtime.spawn(lateness(count)))
        });
    }
}

fn main() {
    let mut bench = Bench::from_args();
    let mut polls = Sweep {
        bench: &mut bench,
        name: "polls_per_turn",
        set: Builder::polls_per_turn,
        values: &POLLS,
    };
    polls.of("yield", 0, |runtime, count| {
        cpu_time(|| block_on(runtime, runtime.spawn(yields(count))))
    });
    polls.neighbours();

    let mut operations = Sweep {
        bench: &mut bench,
        name: "operations_per_poll",
        set: Builder::operations_per_poll,
        values: &OPERATIONS,
    };
    operations.of("message of a firehose", 0, |runtime, count| {
        cpu_time(|| block_on(runtime, runtime.spawn(firehose(count))).expect("both talk"))
    });
    operations.of("yield beside a firehose", 1, |runtime, count| {
        cpu_time(|| block_on(runtime, runtime.spawn(yields(count))))
    });
    operations.neighbours();
    bench.finish();
}
