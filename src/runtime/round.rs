//! Layer 4: one go round the loop.
//! Limits: one look at I/O, two readings of the clock, a bounded number of polls and timers.
//! Invariant: an error of the system is returned after everybody has had their turn.

use std::io;
use std::panic;

use super::Runtime;
use super::root::Root;
use super::turn::Turn;
use super::watch::{Recorded, Unwatched, Watch, Watched};
use crate::probe::{self, Watching};
use crate::reactor::{Budget, Woken};
use crate::selector::Until;

/// I/O operations that count as one more poll in a turn's bound.
///
/// Not counted, tasks that use up their operations made a turn, for which I/O and timers wait,
/// seven times as long. A task that handles one message (a read, a write) still counts once, so
/// that the system is not asked more often for it. See
/// `cargo bench --bench fairness -- polls_per_turn`.
const OPERATIONS_LIKE_A_POLL: i64 = 4;

impl Runtime {
    /// One go round the loop, which drives `root` too.
    pub(super) fn go_round(
        &self,
        until: Until,
        mut root: Option<&mut dyn Root>,
    ) -> io::Result<Turn> {
        let (executor, reactor) = (&self.executor, &self.executor.reactor);
        let inbox = &executor.shared().inbox;
        executor.accept_remote();
        let may_block = !executor.has_ready_tasks() && inbox.fall_asleep() && !is_woken(&root);
        let until = if may_block { until } else { Until::Now };
        let woken = reactor.turn(until, self.polls_per_turn);
        inbox.wake_up();
        executor.accept_remote();
        let (polls, root_has_ended) = match reactor.probe.watching() {
            Watching::Nothing => self.run_batch(&mut root, &Unwatched),
            Watching::Recorder => self.run_watched(&mut root, Recorded(self)),
            Watching::All => self.run_watched(&mut root, Watched::new(self)),
        };
        let counters = executor.counters();
        counters.turns.add(1);
        counters.polls.add(polls);
        // A value can be had once only; a panic is kept for the next turn.
        if !root_has_ended && let Some(payload) = executor.shared().panics.take() {
            panic::resume_unwind(payload);
        }
        let alarm = reactor.set_alarm();
        let Woken { events, timers } = woken?;
        counters.events.add(events);
        counters.timers.add(timers);
        probe::tell_turn(events, timers, polls);
        alarm?;
        let more = executor.has_ready_tasks() || reactor.has_due_timers();
        Ok(Turn { events, timers, polls, more })
    }

    /// As [`run_batch`](Self::run_batch), and tells of the turn's end.
    fn run_watched<W: Watch>(&self, root: &mut Option<&mut dyn Root>, watch: W) -> (usize, bool) {
        let batch = self.run_batch(root, &watch);
        self.executor.reactor.probe.turn_ends(batch.0);
        batch
    }

    /// Polls the root, then the tasks that can go on by then, and so on, in all
    /// `polls_per_turn` times, or less if these polls do much I/O. Returns how many polls there
    /// were, and whether the root has ended.
    fn run_batch<W: Watch>(&self, root: &mut Option<&mut dyn Root>, watch: &W) -> (usize, bool) {
        let executor = &*self.executor;
        let (budget, given) = (executor.reactor.budget(), self.operations_per_poll);
        let _limited = budget.limited(given);
        let _polling = executor.polling();
        let most = self.polls_per_turn as i64;
        let (mut polls, mut cost) = (0, 0);
        loop {
            if let Some(root) = root
                && root.is_woken()
            {
                polls += 1;
                let poll = watch.begin(executor, root.origin());
                let (has_ended, its_cost) = charged(budget, given, || root.poll());
                watch.end(executor, poll);
                if has_ended {
                    return (polls, true);
                }
                cost += its_cost;
            }
            // A whole round, so that a root that yields lets all the others go first; and one
            // task in any case, if the root has had the last poll. What the bound leaves of a
            // round is the next turn's first.
            executor.begin_round();
            while let Some(runnable) = executor.next_in_round() {
                polls += 1;
                let poll = watch.begin(executor, runnable.metadata());
                cost += charged(budget, given, || runnable.run()).1;
                watch.end(executor, poll);
                if cost >= most {
                    break;
                }
            }
            if cost >= most || !(executor.has_woken_tasks() || is_woken(root)) {
                return (polls, false);
            }
        }
    }
}

fn is_woken(root: &Option<&mut dyn Root>) -> bool {
    root.as_ref().is_some_and(|root| root.is_woken())
}

/// Runs one poll of a task, which has `given` operations. Returns what it cost too, counted in
/// polls.
#[inline]
fn charged<R>(budget: &Budget, given: i64, poll: impl FnOnce() -> R) -> (R, i64) {
    budget.refill(given);
    let result = poll();
    // By Euclid's division, which is a shift: never is less used than nothing.
    (result, 1 + budget.used_of(given).div_euclid(OPERATIONS_LIKE_A_POLL))
}
