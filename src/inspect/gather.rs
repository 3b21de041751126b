//! Layer 6: asks a runtime for its tasks, and finds out what each of them waits for.
//! Invariant: whose a waker is, is told by the data that it points to, as `will_wake` does.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::file::File;
use super::tasks::{TaskInfo, Tasks};
use super::wait::{Wait, WaitFor};
use crate::executor::{Executor, Sight, current};
use crate::reactor::{Direction, State};
use crate::runtime::Runtime;
use crate::task::{TaskId, TaskState};

/// The tasks of the current runtime.
///
/// # Panics
/// If called outside [`Runtime::block_on`], [`Runtime::enter`] and tasks.
#[must_use]
#[track_caller]
pub fn tasks() -> Tasks {
    Gathered::of(&current::expect()).into_tasks()
}

impl Runtime {
    /// The tasks of this runtime, and what each of them waits for; see [`inspect`](crate::inspect).
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        Gathered::of(self.executor()).into_tasks()
    }
}

/// Things that one task waits for.
const MANY: usize = 100;

struct Gathered {
    tasks: Vec<TaskInfo>,
    others: Vec<Wait>,
    by_waker: HashMap<*const (), TaskId>,
    by_id: HashMap<TaskId, usize>,
    is_timed: bool,
}

impl Gathered {
    fn of(executor: &Executor) -> Self {
        let reactor = &executor.reactor;
        let now = reactor.try_now();
        let nanos = now.map_or(0, |now| executor.nanos(now));
        let mut gathered = Self {
            tasks: Vec::new(),
            others: Vec::new(),
            by_waker: HashMap::new(),
            by_id: HashMap::new(),
            is_timed: reactor.probe.is_timed(),
        };
        executor.each_task(|sight| gathered.add(&sight, nanos));
        gathered.tasks.sort_by_key(|task| task.id);
        let places = gathered.tasks.iter().enumerate().map(|(place, task)| (task.id, place));
        gathered.by_id = places.collect();
        reactor.each_waiter(|source, direction, waker| {
            gathered.note_waker(waker.data(), || descriptor(source, direction));
        });
        reactor.each_timer(|deadline, waker| {
            gathered.note_waker(waker.data(), || Wait::Deadline(left(deadline, now)));
        });
        executor.each_note(|task, what| gathered.note(task, || Wait::Noted(what.clone())));
        gathered.note_joins();
        gathered
    }

    fn add(&mut self, sight: &Sight<'_>, now: u64) {
        let origin = sight.origin;
        if let Some(waker) = sight.waker {
            self.by_waker.insert(waker, origin.id);
        }
        let age = |spawned| Duration::from_nanos(now.saturating_sub(spawned));
        let polls = origin.more().filter(|_| self.is_timed).map(|more| more.polls());
        self.tasks.push(TaskInfo {
            id: origin.id,
            name: origin.name().cloned(),
            spawned_at: origin.spawned_at,
            age: origin.spawned().map(age),
            state: sight.state,
            waits: Vec::new(),
            awaited_by: origin.awaited_by(),
            polls: polls.map(|(count, _)| count),
            in_polls: polls.map(|(_, time)| time),
        });
    }

    fn note_waker(&mut self, waker: *const (), wait: impl FnOnce() -> Wait) {
        match self.by_waker.get(&waker) {
            Some(task) => self.note(*task, wait),
            None => self.others.push(wait()),
        }
    }

    fn note(&mut self, task: TaskId, wait: impl FnOnce() -> Wait) {
        let Some(place) = self.by_id.get(&task) else { return };
        let (wait, waits) = (wait(), &mut self.tasks[*place].waits);
        // Two futures of one task may wait for the same. Not looked for among very many: that would
        // take the square of their number.
        if waits.len() > MANY || !waits.contains(&wait) {
            waits.push(wait);
        }
    }

    fn note_joins(&mut self) {
        for place in 0..self.tasks.len() {
            let TaskInfo { id, awaited_by, .. } = self.tasks[place];
            match awaited_by {
                Some(by) if self.by_id.contains_key(&by) => self.note(by, || Wait::Task(id)),
                _ => self.tasks[place].awaited_by = None,
            }
        }
    }

    fn into_tasks(mut self) -> Tasks {
        for task in &mut self.tasks {
            if task.state == TaskState::Waiting && task.waits.is_empty() {
                task.waits.push(Wait::ByHand);
            }
        }
        Tasks { tasks: self.tasks, others: self.others }
    }
}

fn descriptor(source: &State, direction: Direction) -> Wait {
    let (fd, interest) = (source.fd(), direction.interest());
    let file = File::of(source.descriptor());
    Wait::Descriptor(WaitFor { fd, interest, file, label: source.label() })
}

fn left(deadline: Instant, now: Option<Instant>) -> Duration {
    now.map_or(Duration::ZERO, |now| deadline.saturating_duration_since(now))
}
