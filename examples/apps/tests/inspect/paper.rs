//! Replays a recording on paper: says what in it cannot have happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use selkie::inspect::{Actor, Entry, Recording, What};
use selkie::task::TaskId;

/// What is known after an entry.
#[derive(Default)]
pub struct Paper {
    /// When the latest entry was.
    now: Duration,
    /// When the latest wait ended, if its turn has not.
    woken: Option<Duration>,
    /// When the latest poll ended.
    polled: Duration,
    /// Polls of the turn that is under way.
    polls: u32,
    /// Events that no wait has counted yet.
    events: u32,
    alive: BTreeSet<TaskId>,
    ended: BTreeSet<TaskId>,
    /// When each task was woken that has not been polled since.
    due: BTreeMap<TaskId, Duration>,
    /// Tasks that were woken, or have ended, in their own poll, which is not recorded yet.
    within: BTreeSet<TaskId>,
    pub counts: Counts,
}

/// How often each thing has happened.
#[derive(Debug, Default)]
pub struct Counts {
    pub turns: usize,
    pub polls: usize,
    pub events: usize,
    pub timers: usize,
    pub wakes_by_tasks: usize,
    pub wakes_by_the_loop: usize,
    pub arrivals: usize,
    pub spawns: usize,
    pub ends: usize,
}

const ROOT: u64 = 0;

impl Paper {
    /// Replays all of a recording that has lost nothing.
    #[track_caller]
    pub fn replay(recording: &Recording) -> Self {
        assert_eq!(recording.lost(), 0, "the ring was too small for this test");
        let mut paper = Self::default();
        for entry in recording.entries() {
            paper.step(entry);
        }
        paper
    }

    #[track_caller]
    fn step(&mut self, Entry { time, what, .. }: Entry) {
        assert!(time >= self.now, "{what:?} at {time:?} comes after what was at {:?}", self.now);
        self.now = time;
        match what {
            What::Event { .. } => {
                self.events += 1;
                self.counts.events += 1;
            }
            What::Wait { took, events } => {
                assert_eq!(self.woken, None, "a wait within a turn");
                assert!(time - took >= self.polled, "a wait within a poll");
                assert_eq!(std::mem::take(&mut self.events), events, "events of a wait");
                self.woken = Some(time);
            }
            What::Timers { count, .. } => {
                assert_eq!(self.woken, Some(time), "timers fire at the end of the wait");
                self.counts.timers += count as usize;
            }
            What::Wake { task, by } => self.wake(task, by, time),
            What::Spawn { task, by } => {
                self.counts.spawns += 1;
                assert!(self.alive.insert(task), "{task} is spawned twice");
                assert!(!self.ended.contains(&task), "{task} is spawned after its end");
                self.check(by);
                self.due.insert(task, time);
            }
            What::Arrival { task } => {
                self.counts.arrivals += 1;
                self.check(Actor::Task(task));
                self.due.insert(task, time);
            }
            What::Poll { task, took } => self.poll(task, time, took),
            What::End { task } => {
                self.counts.ends += 1;
                assert!(self.alive.remove(&task), "{task} ends and was not there");
                self.ended.insert(task);
            }
            What::Turn { took, polls } => {
                self.counts.turns += 1;
                let woken = self.woken.take().expect("a turn after its wait");
                // What is longer than a second is not told to the nanosecond.
                let left = time.checked_sub(woken + took).expect("a turn ends with its last poll");
                assert!(left <= took / (1 << 20), "a turn takes from its wait to its end");
                assert_eq!(std::mem::take(&mut self.polls), polls, "polls of a turn");
            }
            what => panic!("{what:?} is new to this test"),
        }
    }

    /// Insists that who acts is alive.
    #[track_caller]
    fn check(&self, by: Actor) {
        if let Actor::Task(task) = by {
            let is_there = self.alive.contains(&task) || self.ended.contains(&task);
            assert!(task.get() == ROOT || is_there, "{task} does something and was not spawned");
        }
    }

    #[track_caller]
    fn wake(&mut self, task: TaskId, by: Actor, time: Duration) {
        self.check(by);
        self.check(Actor::Task(task));
        assert!(self.woken.is_some(), "{task} is put into the queue outside turns");
        match by {
            Actor::Task(by) if by == task => {
                self.within.insert(task);
            }
            Actor::Task(_) => self.counts.wakes_by_tasks += 1,
            _ => self.counts.wakes_by_the_loop += 1,
        }
        if by != Actor::Task(task) {
            self.due.insert(task, time);
        }
    }

    #[track_caller]
    fn poll(&mut self, task: TaskId, end: Duration, took: Duration) {
        self.counts.polls += 1;
        self.polls += 1;
        let begin = end - took;
        let woken = self.woken.unwrap_or_else(|| panic!("{task} is polled outside turns"));
        assert!(begin >= woken, "{task} is polled before the turn's work began");
        assert!(begin >= self.polled, "{task} is polled within another poll");
        self.polled = end;
        // The root may have been woken outside the turns, which is not recorded.
        if task.get() != ROOT {
            let due = self.due.remove(&task);
            let due = due.unwrap_or_else(|| panic!("{task} is polled and nobody has woken it"));
            assert!(due <= begin, "{task} is woken at {due:?} and polled at {begin:?}");
        }
        if self.within.remove(&task) {
            self.due.insert(task, begin);
        }
    }

    /// The tasks that have not ended.
    pub fn alive(&self) -> impl Iterator<Item = TaskId> {
        self.alive.iter().copied()
    }
}
