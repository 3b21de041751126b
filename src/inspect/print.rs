//! Layer 6: the table of tasks, as text for a terminal.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use super::columns::columns;
use super::tasks::{TaskInfo, Tasks};
use super::wait::{Short, Wait};
use crate::task::{TaskId, TaskState};
use crate::text::{plain, plain_name};

/// Characters of something that is waited for, which may have a name of the program's or of its
/// peer's.
const LONGEST_WAIT: usize = 200;

/// How much of what a task waits for is told.
const MOST_WAITS: usize = 8;

/// Steps to the right that a tree takes at most.
const DEEPEST: usize = 16;

/// What is worth a look first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Interesting {
    Runs,
    DeadLocked,
    IsReady,
    IsOverdue,
    ByHand,
    Waits,
}

fn interesting(task: &TaskInfo, dead_locked: &HashSet<TaskId>) -> Interesting {
    let has = |wait: &Wait| task.waits.contains(wait);
    match task.state {
        TaskState::Running => Interesting::Runs,
        TaskState::Ready => Interesting::IsReady,
        TaskState::Waiting if dead_locked.contains(&task.id) => Interesting::DeadLocked,
        TaskState::Waiting if has(&Wait::Deadline(Duration::ZERO)) => Interesting::IsOverdue,
        TaskState::Waiting if has(&Wait::ByHand) => Interesting::ByHand,
        TaskState::Waiting => Interesting::Waits,
    }
}

/// One line.
type Cells = [String; COLUMNS];

const COLUMNS: usize = 8;
const TITLES: [&str; COLUMNS] =
    ["TASK", "STATE", "AGE", "POLLS", "IN POLLS", "SPAWNED AT", "NAME", "WAITS FOR"];

fn cells(task: &TaskInfo, depth: usize) -> Cells {
    let step = match depth {
        0 => String::new(),
        _ => format!("{}└ ", "  ".repeat(depth.min(DEEPEST) - 1)),
    };
    let short = |time: Option<Duration>| time.map_or_else(String::new, |t| Short(t).to_string());
    let state = match task.state {
        TaskState::Running => "runs",
        TaskState::Ready => "ready",
        TaskState::Waiting => "waits",
    };
    let waits = match task.state {
        TaskState::Waiting => told(&task.waits),
        _ => String::new(),
    };
    [
        format!("{step}{}", task.id),
        state.to_owned(),
        short(task.age),
        task.polls.map_or_else(String::new, |polls| polls.to_string()),
        short(task.in_polls),
        format!("{}:{}", task.spawned_at.file(), task.spawned_at.line()),
        plain_name(task.name.as_deref().unwrap_or_default()),
        waits,
    ]
}

/// What a task waits for. A task may await any number of others.
fn told(waits: &[Wait]) -> String {
    let told = waits.iter().take(MOST_WAITS).map(line).collect::<Vec<_>>().join(", or ");
    match waits.len().checked_sub(MOST_WAITS) {
        None | Some(0) => told,
        Some(left) => format!("{told}, or {left} others"),
    }
}

fn line(wait: &Wait) -> String {
    plain(&wait.to_string(), LONGEST_WAIT)
}

/// A line for each task, the most interesting first, and below it those that it awaits.
impl fmt::Display for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dead_locks = self.dead_locks();
        let dead_locked = dead_locks.iter().flatten().copied().collect();
        let rank = |place: usize| {
            let task = &self.tasks[place];
            (interesting(task, &dead_locked), task.id)
        };
        let order = self.forest().in_order(rank);
        let lines: Vec<Cells> =
            order.into_iter().map(|(place, depth)| cells(&self.tasks[place], depth)).collect();
        self.summary(f)?;
        columns(f, TITLES, &lines)?;
        for circle in &dead_locks {
            dead_lock(f, circle)?;
        }
        self.others.iter().try_for_each(|wait| writeln!(f, "not known which task: {}", line(wait)))
    }
}

impl Tasks {
    fn summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |state| self.tasks.iter().filter(|task| task.state == state).count();
        let (running, ready) = (count(TaskState::Running), count(TaskState::Ready));
        let waiting = count(TaskState::Waiting);
        let s = if self.len() == 1 { "" } else { "s" };
        writeln!(f, "{} task{s}: {running} running, {ready} ready, {waiting} waiting", self.len())
    }
}

fn dead_lock(f: &mut fmt::Formatter<'_>, circle: &[TaskId]) -> fmt::Result {
    write!(f, "dead-lock: {}", circle[0])?;
    let next = circle.iter().skip(1).chain(circle.first());
    let mut before = " waits for";
    for id in next {
        write!(f, "{before} {id}")?;
        before = ", which waits for";
    }
    writeln!(f)
}
