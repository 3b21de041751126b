//! What the contenders do: each operation so many times, timed from inside the runtime.

use std::pin::pin;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use futures_lite::future::poll_once;

use super::Contender;

/// Tasks that are joined at once.
const TASKS: u32 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A task that does nothing is spawned and awaited.
    SpawnAwait,
    /// A task yields.
    Yield,
    /// [`TASKS`] that do nothing are spawned, and then all awaited.
    Join,
    /// Another thread is asked, and wakes the task that waits for its answer.
    WakeFromThread,
    /// A timer is made, polled once and dropped, while so many others are waiting.
    Timer { outstanding: u32 },
}

impl Operation {
    pub fn all() -> [Self; 7] {
        let timer = |outstanding| Self::Timer { outstanding };
        [
            Self::SpawnAwait,
            Self::Yield,
            Self::Join,
            Self::WakeFromThread,
            timer(1_000),
            timer(100_000),
            timer(1_000_000),
        ]
    }

    pub fn name(self) -> String {
        match self {
            Self::SpawnAwait => "spawn and await a task".to_owned(),
            Self::Yield => "yield".to_owned(),
            Self::Join => format!("spawn and join {TASKS} tasks, per task"),
            Self::WakeFromThread => "ask another thread and be woken by it".to_owned(),
            Self::Timer { outstanding } => {
                format!("make, poll and drop a timer beside {outstanding} others")
            }
        }
    }

    /// How often to do it for some 0.1 s.
    pub fn count(self) -> u32 {
        match self {
            Self::SpawnAwait | Self::Yield | Self::Join => 500_000,
            Self::WakeFromThread => 10_000,
            Self::Timer { .. } => 200_000,
        }
    }

    /// Does it `count` times and returns how long all of them took.
    pub fn run<C: Contender>(self, contender: &C, count: u32) -> Result<Duration> {
        match self {
            Self::SpawnAwait => Ok(contender.block_on(spawn_await(contender, count))),
            Self::Yield => Ok(contender.block_on(contender.spawn(yield_now::<C>(count)))),
            Self::Join => Ok(contender.block_on(join(contender, count))),
            Self::WakeFromThread => wake_from_thread(contender, count),
            Self::Timer { outstanding } => Ok(contender.block_on(timers::<C>(outstanding, count))),
        }
    }
}

async fn spawn_await<C: Contender>(contender: &C, count: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        contender.spawn(async {}).await;
    }
    start.elapsed()
}

async fn yield_now<C: Contender>(count: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        C::yield_now().await;
    }
    start.elapsed()
}

async fn join<C: Contender>(contender: &C, count: u32) -> Duration {
    let start = Instant::now();
    let mut left = count;
    while left > 0 {
        let tasks: Vec<_> = (0..left.min(TASKS)).map(|_| contender.spawn(async {})).collect();
        left -= tasks.len() as u32;
        for task in tasks {
            task.await;
        }
    }
    start.elapsed()
}

/// Asks a thread `count` times, and waits for each answer.
fn wake_from_thread<C: Contender>(contender: &C, count: u32) -> Result<Duration> {
    let (ask, asked) = mpsc::channel();
    let (answer, answered) = smol::channel::bounded(1);
    let thread = thread::spawn(move || asked.iter().try_for_each(|()| answer.try_send(())));
    let elapsed = contender.block_on(contender.spawn(async move {
        let start = Instant::now();
        for _ in 0..count {
            ask.send(())?;
            answered.recv().await?;
        }
        Ok(start.elapsed())
    }));
    thread.join().map_err(|_panic| anyhow!("the thread panicked"))??;
    elapsed
}

/// Makes, polls once and drops `count` timers, while `outstanding` others are waiting.
async fn timers<C: Contender>(outstanding: u32, count: u32) -> Duration {
    let mut others = Vec::new();
    for index in 0..outstanding {
        // From one minute to one hour: none ends before the measurement, and no two ends are
        // neighbours for long.
        let milliseconds = 60_000 + u64::from(index) * 7_919 % 3_540_000;
        let mut timer = Box::pin(C::sleep(Duration::from_millis(milliseconds)));
        poll_once(&mut timer).await;
        others.push(timer);
        breathe::<C>(index).await;
    }
    let start = Instant::now();
    for index in 0..count {
        let milliseconds = 30_000 + u64::from(index) % 1_000;
        poll_once(pin!(C::sleep(Duration::from_millis(milliseconds)))).await;
        breathe::<C>(index).await;
    }
    start.elapsed()
}

/// Yields now and then: a runtime with a cooperative budget (tokio's is 128) lets nothing be
/// registered beyond it.
async fn breathe<C: Contender>(index: u32) {
    if index % 64 == 63 {
        C::yield_now().await;
    }
}
