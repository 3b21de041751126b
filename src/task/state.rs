//! Layer 5: what a group knows of its tasks. Invariant: nothing here calls out; what a caller has
//! to wake or to drop, it gets back.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::Waker;

use super::cancel::Cancel;
use crate::executor::{Outcome, Task};
use crate::panics::{FirstPanic, catch, discard};
use crate::slots::{SlotKey, Slots};

/// What a group does when a task of it panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnPanic {
    /// The others run to their ends. Then the first panic goes on in whoever waits for the group.
    #[default]
    Drain,
    /// The group takes no new tasks, its token is cancelled, and so are the others. When they have
    /// ended, the first panic goes on in whoever waits for the group.
    Cancel,
    /// The others run on. The panic is the result of its task, as a [`TaskError`](super::TaskError).
    Return,
}

/// What a group, its spawners and its tasks have in common.
pub(super) struct Shared<T> {
    pub(super) state: RefCell<State<T>>,
    pub(super) token: Cancel,
    pub(super) on_panic: OnPanic,
}

pub(super) struct State<T> {
    /// The tasks that have not ended. `None`: is being spawned, or was cancelled by the group.
    members: Slots<Option<Task<()>>>,
    /// Of tasks that have ended, and were not asked for yet. Values of no size take no memory,
    /// so that a group whose tasks return `()` may run without anybody asking.
    values: VecDeque<T>,
    cancelled: usize,
    panicked: VecDeque<Outcome<()>>,
    /// The panic that goes on when all tasks have ended.
    pub(super) first_panic: Option<Task<()>>,
    pub(super) waiter: Option<Waker>,
    pub(super) is_closed: bool,
    ended: Ended,
}

/// How many tasks have ended, in which way.
#[derive(Clone, Copy, Default)]
pub(super) struct Ended {
    pub(super) finished: usize,
    pub(super) cancelled: usize,
    pub(super) panicked: usize,
}

/// How one task has ended.
pub(super) enum End<T> {
    Value(T),
    Panicked,
    Cancelled,
}

/// One that was not asked for yet.
pub(super) enum Result<T> {
    Value(T),
    Panicked(Outcome<()>),
    Cancelled,
}

impl<T> State<T> {
    pub(super) fn new() -> Self {
        Self {
            members: Slots::new(),
            values: VecDeque::new(),
            cancelled: 0,
            panicked: VecDeque::new(),
            first_panic: None,
            waiter: None,
            is_closed: false,
            ended: Ended::default(),
        }
    }

    pub(super) fn running(&self) -> usize {
        self.members.len()
    }

    /// A place for a task that is about to be spawned.
    pub(super) fn reserve(&mut self) -> SlotKey {
        self.members.insert(None)
    }

    /// Puts a task into its place. Returns it if it has ended by now, or the group takes none.
    pub(super) fn fill(&mut self, slot: SlotKey, task: Task<()>) -> Option<Task<()>> {
        match self.members.get_mut(slot) {
            Some(place) if !self.is_closed => {
                *place = Some(task);
                None
            }
            _ => Some(task),
        }
    }

    /// Notes the end of a task. Returns its handle, if it is of no use any more.
    fn end(&mut self, slot: SlotKey, end: End<T>, on_panic: OnPanic) -> Option<Task<()>> {
        let task = self.members.remove(slot).flatten();
        match end {
            End::Value(value) => {
                self.ended.finished += 1;
                self.values.push_back(value);
            }
            End::Cancelled => {
                self.ended.cancelled += 1;
                self.cancelled += 1;
            }
            End::Panicked => {
                let Some(task) = task else {
                    // The group had cancelled it before. Its panic is one that nobody awaits.
                    return self.end(slot, End::Cancelled, on_panic);
                };
                self.ended.panicked += 1;
                match on_panic {
                    OnPanic::Return => self.panicked.push_back(task.outcome()),
                    _ if self.first_panic.is_none() => self.first_panic = Some(task),
                    _ => return Some(task),
                }
                return None;
            }
        }
        task
    }

    /// The next result that was not asked for. Values come in the order in which their tasks
    /// ended, the others before them.
    pub(super) fn take_result(&mut self) -> Option<Result<T>> {
        if let Some(outcome) = self.panicked.pop_front() {
            return Some(Result::Panicked(outcome));
        }
        if self.cancelled > 0 {
            self.cancelled -= 1;
            return Some(Result::Cancelled);
        }
        self.values.pop_front().map(Result::Value)
    }

    /// Puts back what could not be told.
    pub(super) fn put_back(&mut self, panicked: Outcome<()>) {
        self.panicked.push_front(panicked);
    }
}

/// Drops all values, though one of them panics; with the first panic in the end.
impl<T> Drop for State<T> {
    fn drop(&mut self) {
        let mut first = FirstPanic::default();
        for value in self.values.drain(..) {
            first.watch(|| drop(value));
        }
        first.resume();
    }
}

impl<T> Shared<T> {
    pub(super) fn new(token: Cancel, on_panic: OnPanic) -> Self {
        Self { state: RefCell::new(State::new()), token, on_panic }
    }

    pub(super) fn ended(&self) -> Ended {
        self.state.borrow().ended
    }

    /// Notes the end of a task, and wakes who waits for that.
    pub(super) fn end(&self, slot: SlotKey, end: End<T>) {
        let is_panic = matches!(end, End::Panicked);
        let (unused, waiter) = {
            let mut state = self.state.borrow_mut();
            (state.end(slot, end, self.on_panic), state.waiter.take())
        };
        if let Some(task) = unused {
            // It is at its end, so this cancels nothing; but a panic in it is one that nobody
            // awaits.
            drop(task);
        }
        if is_panic && self.on_panic == OnPanic::Cancel {
            self.close();
            self.cancel_all();
        }
        if let Some(waiter) = waiter {
            // Also called while a future is dropped, and perhaps in a panic.
            quietly(|| waiter.wake());
        }
    }

    /// Takes no new tasks from now on, and asks those that run to end.
    pub(super) fn close(&self) {
        self.state.borrow_mut().is_closed = true;
        quietly(|| self.token.cancel());
    }

    /// Cancels all tasks that run. Their ends are noted when their futures are dropped.
    pub(super) fn cancel_all(&self) {
        let tasks: Vec<_> =
            self.state.borrow_mut().members.values_mut().filter_map(Option::take).collect();
        drop(tasks);
    }
}

/// Calls what may run wakers of a user, where a panic of theirs cannot go on. Its message was printed.
fn quietly(f: impl FnOnce()) {
    if let Err(payload) = catch(f) {
        discard(payload);
    }
}
