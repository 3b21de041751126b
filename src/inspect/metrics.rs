//! Layer 6: what a loop has done, and what it has, in numbers.

use std::fmt;

use crate::executor::Executor;
use crate::runtime::Runtime;

/// What a runtime has done since it was made, and what it has just now; from
/// [`Runtime::metrics`].
///
/// `Display` prints it in the text format of Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Turns taken.
    pub turns: u64,
    /// Polls of tasks, and of the future of `block_on`.
    pub polls: u64,
    /// Sources that had an event.
    pub events: u64,
    /// Timers that were due.
    pub timers_fired: u64,
    /// Tasks that other threads have woken or spawned.
    pub remote_wakes: u64,
    /// Tasks that were spawned.
    pub tasks_spawned: u64,
    /// Tasks that have not ended.
    pub tasks: usize,
    /// Sources that are registered.
    pub sources: usize,
    /// Timers that are waited for.
    pub timers: usize,
}

/// The numbers of the current runtime.
///
/// # Panics
/// If called outside [`Runtime::block_on`], [`Runtime::enter`] and tasks.
#[must_use]
#[track_caller]
pub fn metrics() -> Metrics {
    of(&crate::executor::current::expect())
}

impl Runtime {
    /// What this runtime has done, and what it has. The numbers of what was done only grow.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        of(self.executor())
    }
}

fn of(executor: &Executor) -> Metrics {
    let counters = executor.counters();
    let (sources, timers) = executor.reactor.counts();
    Metrics {
        turns: counters.turns.get(),
        polls: counters.polls.get(),
        events: counters.events.get(),
        timers_fired: counters.timers.get(),
        remote_wakes: counters.remote.get(),
        tasks_spawned: executor.shared().spawned(),
        tasks: executor.count_tasks(),
        sources,
        timers,
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = [
            ("turns", "Turns of the loop.", self.turns),
            ("polls", "Polls of tasks.", self.polls),
            ("events", "Sources that had an event.", self.events),
            ("timers_fired", "Timers that were due.", self.timers_fired),
            ("remote_wakes", "Tasks that other threads have woken or spawned.", self.remote_wakes),
            ("tasks_spawned", "Tasks that were spawned.", self.tasks_spawned),
        ];
        for (name, help, value) in counters {
            writeln!(f, "# HELP selkie_{name}_total {help}")?;
            writeln!(f, "# TYPE selkie_{name}_total counter")?;
            writeln!(f, "selkie_{name}_total {value}")?;
        }
        let gauges = [
            ("tasks", "Tasks that have not ended.", self.tasks),
            ("sources", "Sources that are registered.", self.sources),
            ("timers", "Timers that are waited for.", self.timers),
        ];
        for (name, help, value) in gauges {
            writeln!(f, "# HELP selkie_{name} {help}")?;
            writeln!(f, "# TYPE selkie_{name} gauge")?;
            writeln!(f, "selkie_{name} {value}")?;
        }
        Ok(())
    }
}
