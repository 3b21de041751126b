//! The runtimes' own operations, without any I/O: in one process, in turns. One module per
//! contender says how it does a thing; `operations` what is done, the same for all.

mod async_executor;
mod operations;
mod selkie;
mod tokio;

use std::time::Duration;

use anyhow::Result;

use crate::harness::{Effort, Harness};
use crate::results::{Micro, Part};
use operations::Operation;

/// A runtime of one thread.
trait Contender: 'static {
    /// For the report.
    const NAME: &'static str;

    fn new() -> Self;

    /// Runs `future` on this thread, and the tasks beside it.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Starts a task; the result waits for it. The future is `Send` for the sake of those who
    /// ask for it.
    fn spawn<F>(&self, future: F) -> impl Future<Output = F::Output> + use<F, Self>
    where
        F: Future<Output: Send> + Send + 'static;

    /// Lets others run once.
    fn yield_now() -> impl Future<Output = ()> + Send;

    fn sleep(timeout: Duration) -> impl Future<Output = ()>;
}

/// A contender, of whatever type: how to do an operation so many times, once.
struct Entry {
    name: &'static str,
    run: fn(Operation, u32) -> Result<Duration>,
}

/// The first is the one that the others are compared with.
const CONTENDERS: &[Entry] = &[
    entry::<selkie::OneThread>(),
    entry::<tokio::CurrentThread>(),
    entry::<async_executor::Local>(),
];

const fn entry<C: Contender>() -> Entry {
    Entry { name: C::NAME, run: |operation, count| operation.run(&C::new(), count) }
}

pub fn measure(harness: &mut Harness) -> Result<()> {
    let rounds = harness.rounds(11, 3);
    let operations = Operation::all();
    harness.begin(Part::Micro, operations.len() * rounds as usize);
    harness.results.micro.clear();
    for operation in operations {
        let divisor = if harness.effort == Effort::Quick { 10 } else { 1 };
        let count = (operation.count() / divisor).max(1);
        let entry = |entry: &Entry| Micro {
            operation: operation.name(),
            contender: entry.name.to_owned(),
            nanoseconds: Vec::new(),
        };
        let mut figures: Vec<_> = CONTENDERS.iter().map(entry).collect();
        for _ in 0..rounds {
            harness.step(operation.name());
            for (contender, figure) in CONTENDERS.iter().zip(&mut figures) {
                let elapsed = (contender.run)(operation, count)?;
                figure.nanoseconds.push(elapsed.as_nanos() as f64 / f64::from(count));
            }
        }
        harness.results.micro.extend(figures);
    }
    Ok(())
}
