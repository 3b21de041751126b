//! Layer 6: what a loop has done, and what it has, in numbers.

use std::fmt;
use std::time::Duration;

use crate::executor::Executor;
use crate::probe;
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
    /// How long turns and polls took, if the runtime [times](crate::Builder::timing) them.
    pub times: Option<Times>,
}

/// What a loop spends its time with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    /// In the system, mostly waiting.
    pub idle: Duration,
    /// In turns, after their waits.
    pub busy: Duration,
    /// In polls, which is a part of `busy`.
    pub in_polls: Duration,
    /// The longest turn, without its wait.
    pub longest_turn: Duration,
    /// A turn on average, without its wait.
    pub mean_turn: Duration,
    /// The longest poll.
    pub longest_poll: Duration,
}

impl Times {
    fn of(times: &probe::Times) -> Self {
        let nanos = Duration::from_nanos;
        Self {
            idle: nanos(times.idle),
            busy: nanos(times.busy),
            in_polls: nanos(times.in_polls),
            longest_turn: nanos(times.longest_turn),
            mean_turn: nanos(times.busy / times.turns.max(1)),
            longest_poll: nanos(times.longest_poll),
        }
    }
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
        times: executor.reactor.probe.times().as_ref().map(Times::of),
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
        self.times.as_ref().map_or(Ok(()), |times| times.fmt(f))
    }
}

/// In the text format of Prometheus, in seconds.
impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = [
            ("idle_seconds_total", "counter", "Time in the system, mostly waiting.", self.idle),
            ("busy_seconds_total", "counter", "Time in turns, after their waits.", self.busy),
            ("poll_seconds_total", "counter", "Time in polls of tasks.", self.in_polls),
            ("longest_turn_seconds", "gauge", "The longest turn.", self.longest_turn),
            ("mean_turn_seconds", "gauge", "A turn on average.", self.mean_turn),
            ("longest_poll_seconds", "gauge", "The longest poll.", self.longest_poll),
        ];
        for (name, kind, help, value) in times {
            writeln!(f, "# HELP selkie_{name} {help}")?;
            writeln!(f, "# TYPE selkie_{name} {kind}")?;
            writeln!(f, "selkie_{name} {}.{:09}", value.as_secs(), value.subsec_nanos())?;
        }
        Ok(())
    }
}
