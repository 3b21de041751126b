//! Layer 4: what is told of a poll that took long.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::executor::{Executor, TaskId};
use crate::text::plain_name;

/// A poll that took long, as [`Builder::slow_poll`](crate::Builder::slow_poll) tells of it.
///
/// `Display` says it in a sentence.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlowPoll {
    /// The task that was polled. It may have ended.
    pub id: TaskId,
    /// What it is called, by [`spawn_named`](crate::spawn_named).
    pub name: Option<Cow<'static, str>>,
    /// Where it was spawned, or `block_on` was called.
    pub spawned_at: &'static Location<'static>,
    /// How long the poll took.
    pub took: Duration,
    /// By how much the earliest deadline has passed that a task waits for, if one has: that timer
    /// was kept waiting.
    pub overdue: Option<Duration>,
    /// How many tasks can go on.
    pub ready_tasks: usize,
    /// How many sources are ready for which tasks still wait, by `poll(2)`: their events were kept
    /// waiting. Nothing is taken from them.
    pub ready_sources: usize,
}

impl SlowPoll {
    pub(super) fn new(
        executor: &Executor,
        (id, name, spawned_at): (TaskId, Option<Cow<'static, str>>, &'static Location<'static>),
        took: Duration,
    ) -> Self {
        let reactor = &executor.reactor;
        let overdue = reactor.next_deadline().and_then(|deadline| {
            let late = reactor.try_now()?.checked_duration_since(deadline)?;
            (!late.is_zero()).then_some(late)
        });
        let (ready_tasks, ready_sources) = (executor.count_ready(), reactor.count_ready());
        Self { id, name, spawned_at, took, overdue, ready_tasks, ready_sources }
    }
}

impl fmt::Display for SlowPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, spawned_at, took, overdue, ready_tasks, ready_sources } = self;
        write!(f, "task {id} ")?;
        if let Some(name) = name {
            write!(f, "({}) ", plain_name(name))?;
        }
        let place = format_args!("{}:{}", spawned_at.file(), spawned_at.line());
        write!(f, "of {place} was polled for {took:.1?}; kept waiting: ")?;
        let [task_s, source_s] =
            [ready_tasks, ready_sources].map(|n| if *n == 1 { "" } else { "s" });
        write!(f, "{ready_tasks} ready task{task_s}, {ready_sources} ready source{source_s}")?;
        match overdue {
            Some(late) => write!(f, ", and a timer that is {late:.1?} late"),
            None => Ok(()),
        }
    }
}

type Hook = Arc<dyn Fn(&SlowPoll) + Send + Sync>;

/// Whom to tell of which polls.
#[derive(Clone)]
pub(super) struct TellsSlow {
    pub(super) limit: Duration,
    hook: Hook,
}

impl TellsSlow {
    pub(super) fn new(limit: Duration, hook: impl Fn(&SlowPoll) + Send + Sync + 'static) -> Self {
        Self { limit, hook: Arc::new(hook) }
    }

    pub(super) fn tell(&self, slow: &SlowPoll) {
        (self.hook)(slow);
    }
}
