//! Layer 3: what a runtime is made of, and one go round its loop.
//! Imports `executor` and `reactor`. Invariant: one turn looks at I/O once, at the clock once, and
//! polls a bounded number of tasks; while it rests, whatever comes makes its descriptor readable.

use std::cell::Cell;
use std::io;
use std::panic;
use std::rc::Rc;
use std::time::Duration;

use crate::executor::Executor;
use crate::reactor::{Reactor, Woken};

/// I/O operations that count as one more poll in a turn's bound.
///
/// Not counted, tasks that use up their operations made a turn, for which I/O and timers wait,
/// seven times as long. A task that handles one message (a read, a write) still counts once, so
/// that the system is not asked more often for it. See
/// `cargo bench --bench fairness -- polls_per_turn`.
const OPERATIONS_LIKE_A_POLL: i64 = 4;

/// A runtime's parts.
pub(crate) struct Inner {
    pub(super) executor: Rc<Executor>,
    pub(super) reactor: Rc<Reactor>,
    pub(super) polls_per_turn: i64,
    pub(super) operations_per_poll: i64,
    pub(super) is_running: Cell<bool>,
}

/// What a [`turn`](crate::Runtime::turn) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// How many sources had an event, as far as the back end tells each of them once.
    pub events: usize,
    /// How many timers were due.
    pub timers: usize,
    /// How many times a task was polled.
    pub polls: usize,
    /// True if tasks are left that can go on: take another turn before you block. (A loop that
    /// blocks on the runtime's descriptor is woken for it at once.)
    pub more: bool,
}

impl Turn {
    /// True if the turn found nothing to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}

/// What the loop sees of the future, whatever its type: a thing to be polled when it is woken.
pub(super) trait Root {
    fn is_woken(&self) -> bool;

    /// Polls the future if it was woken; true if it has ended.
    fn poll(&mut self) -> bool;
}

/// No future: what a turn without `block_on` drives.
pub(super) struct NoRoot;

impl Root for NoRoot {
    fn is_woken(&self) -> bool {
        false
    }

    fn poll(&mut self) -> bool {
        false
    }
}

impl Inner {
    /// One go round the loop, which drives `root` too.
    pub(super) fn turn(&self, timeout: Option<Duration>, root: &mut impl Root) -> io::Result<Turn> {
        let inbox = &self.executor.shared().inbox;
        self.executor.accept_remote();
        let may_block = !self.executor.has_ready_tasks()
            && !root.is_woken()
            && inbox.fall_asleep()
            && !root.is_woken();
        let timeout = if may_block { timeout } else { Some(Duration::ZERO) };
        let woken = self.reactor.turn(timeout);
        inbox.wake_up();
        self.executor.accept_remote();
        let polls = self.run_batch(root);
        if let Some(payload) = self.executor.shared().panics.take() {
            panic::resume_unwind(payload);
        }
        let Woken { events, timers } = woken?;
        Ok(Turn { events, timers, polls, more: self.executor.has_ready_tasks() })
    }

    /// Polls the root, then the tasks that can go on by then, and so on, in all
    /// `polls_per_turn` times, or less if these polls do much I/O.
    fn run_batch(&self, root: &mut impl Root) -> usize {
        let _limited = self.reactor.budget().limited();
        let most = self.polls_per_turn;
        let (mut polls, mut cost) = (0, 0);
        while cost < most {
            let before = polls;
            if root.is_woken() {
                polls += 1;
                let (has_ended, its_cost) = self.charged(|| root.poll());
                if has_ended {
                    break;
                }
                cost += its_cost;
            }
            // A whole round, so that a root that yields lets all the others go first; and one
            // task in any case, if the root has had the last poll. What the bound leaves of a
            // round is the next turn's first.
            self.executor.begin_round();
            while let Some(runnable) = self.executor.next_in_round() {
                polls += 1;
                cost += self.charged(|| runnable.run()).1;
                if cost >= most {
                    break;
                }
            }
            if polls == before {
                break;
            }
        }
        polls
    }

    /// Runs one poll of a task. Returns what it cost too, counted in polls.
    #[inline]
    fn charged<R>(&self, poll: impl FnOnce() -> R) -> (R, i64) {
        let budget = self.reactor.budget();
        budget.refill(self.operations_per_poll);
        let result = poll();
        // By Euclid's division, which is a shift: never is less used than nothing.
        (result, 1 + budget.used_of(self.operations_per_poll).div_euclid(OPERATIONS_LIKE_A_POLL))
    }

    /// The loop is left, perhaps by a panic: from here on whoever comes makes the descriptor
    /// readable, as do those who could not go on in this turn.
    pub(super) fn rest(&self) {
        // Has been called, and its error returned, unless this is a panic, or a `block_on` that
        // has returned its value instead.
        let _ = self.reactor.end_turn();
        let inbox = &self.executor.shared().inbox;
        inbox.fall_asleep();
        if self.executor.has_ready_tasks() {
            inbox.rouse();
        }
    }
}
