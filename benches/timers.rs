//! What timers cost while a thousand, a hundred thousand and a million others are outstanding.
//!
//! Run it with `cargo bench -p benches --bench timers`, or `cargo bench -p benches --bench timers
//! -- expire`. It shows the CPU time per timer of creating, polling and dropping one, as a timeout
//! does that is not reached, and of expiring one and all of them; and as ratios what the others add
//! to it.

mod support;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use selkie::{Runtime, Timer};
use support::{Bench, Sides, cpu_time};

/// How many others there are.
const CROWDS: [u32; 3] = [1_000, 100_000, 1_000_000];

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Deadlines in no order, the same ones in every run.
struct Deadlines {
    start: Instant,
    state: u64,
}

impl Deadlines {
    fn from(start: Instant) -> Self {
        Self { start, state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// One within the second after the start: xorshift64.
    fn next(&mut self) -> Instant {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.start + Duration::from_nanos(self.state % 1_000_000_000)
    }
}

/// A timer that waits in the queue of the current runtime.
fn armed(deadline: Instant) -> Timer {
    let mut timer = Timer::at(deadline);
    let polled = Pin::new(&mut timer).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    timer
}

/// A runtime and timers that wait in it. They are dropped before it.
struct Crowd {
    timers: Vec<Timer>,
    deadlines: Deadlines,
    runtime: Runtime,
}

impl Crowd {
    fn new(count: u32, from: Instant) -> Self {
        let runtime = Runtime::new().expect("the system has descriptors to spare");
        let mut deadlines = Deadlines::from(from);
        let timers = runtime.enter(|| (0..count).map(|_| armed(deadlines.next())).collect());
        Self { timers, deadlines, runtime }
    }

    /// One that is not due within the bench.
    fn of(count: u32) -> Self {
        Self::new(count, Instant::now() + HOUR)
    }

    /// Turns until so many timers have fired, without waiting.
    fn expire(&self, count: usize) {
        let mut fired = 0;
        while fired < count {
            fired += self.runtime.turn(Some(Duration::ZERO)).expect("the system answers").timers;
        }
    }
}

fn create_and_drop(crowd: &mut Crowd, iterations: u64) -> Duration {
    let Crowd { runtime, deadlines, .. } = crowd;
    runtime.enter(|| cpu_time(|| (0..iterations).for_each(|_| drop(armed(deadlines.next())))))
}

/// A timer that is due at once, and a turn for it.
fn expire_one(crowd: &mut Crowd, iterations: u64) -> Duration {
    crowd.runtime.enter(|| {
        cpu_time(|| {
            for _ in 0..iterations {
                let timer = armed(Instant::now());
                crowd.expire(1);
                drop(timer);
            }
        })
    })
}

/// All of them in one turn; the time is that of one.
fn expire_all(count: u32, iterations: u64) -> Duration {
    let mut whole = Duration::ZERO;
    for _ in 0..iterations {
        let past = Instant::now().checked_sub(2 * SECOND).expect("the clock began before that");
        let crowd = Crowd::new(count, past);
        whole += cpu_time(|| crowd.expire(crowd.timers.len()));
    }
    whole / count
}

fn among(bench: &mut Bench, name: &str, work: fn(&mut Crowd, u64) -> Duration) {
    let mut sides = Sides::new(name);
    for count in CROWDS {
        // Made when it is first wanted, so that what a filter leaves out costs nothing.
        let mut crowd = None;
        sides.add(format!("{count} outstanding"), move |iterations| {
            work(crowd.get_or_insert_with(|| Crowd::of(count)), iterations)
        });
    }
    bench.run(sides);
}

fn main() -> io::Result<()> {
    let mut bench = Bench::from_args();
    among(&mut bench, "create, poll and drop a timer", create_and_drop);
    among(&mut bench, "expire one timer", expire_one);
    let mut sides = Sides::new("expire all timers, each");
    for count in CROWDS {
        sides.add(format!("{count} outstanding"), move |n| expire_all(count, n));
    }
    bench.run(sides);
    bench.finish();
    Ok(())
}
