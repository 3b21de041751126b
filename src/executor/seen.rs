//! Layer 3: what is seen of an executor from outside: who is being polled, which tasks there are.
//! Invariant: who looks calls no user code, and nothing here is borrowed when user code runs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::Executor;
use super::counters::Counters;
use super::id::{Name, TaskId};
use super::origin::OriginRef;
use super::shared::{Origin, Runnable};
use super::sights::{Root, Rooted};

/// A task that is alive.
pub(crate) struct Sight<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) state: TaskState,
    /// The data of its wakers; `None`: it has not waited yet.
    pub(crate) waker: Option<*const ()>,
}

/// What a task is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It is being polled.
    Running,
    /// It can go on, and is polled when its turn comes.
    Ready,
    /// It waits to be woken.
    Waiting,
}

/// While it lives, tasks are polled; then nobody is. (As other threads see it, who [watches
/// polls](Executor::watch_polled) says so.)
#[must_use]
pub(crate) struct Polling<'e>(&'e Executor);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.sights.polled.set(None);
    }
}

/// While it lives, the root is among the tasks.
#[must_use]
pub(crate) struct Shown<'e>(&'e Executor);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        let root = self.0.sights.root.take();
        drop(root);
    }
}

impl Executor {
    pub(crate) fn counters(&self) -> &Counters {
        &self.sights.counters
    }

    /// A batch of polls begins; at its end, when the guard is dropped, nobody is polled.
    pub(crate) fn polling(&self) -> Polling<'_> {
        Polling(self)
    }

    /// The task of this origin is about to be polled, within a [`polling`](Self::polling).
    #[inline]
    pub(crate) fn set_polled(&self, origin: &Origin) {
        self.sights.polled.set(Some(OriginRef::new(origin)));
    }

    /// The task of this origin has no future any more; perhaps it was being polled.
    #[inline]
    pub(super) fn is_polled_no_more(&self, origin: OriginRef) {
        if self.sights.polled.get() == Some(origin) {
            self.sights.polled.set(None);
        }
    }

    /// Nobody is polled until the next poll begins.
    pub(crate) fn nobody_is_polled(&self) {
        self.sights.polled.set(None);
        if let Some(running) = &self.shared.running {
            running.clear();
        }
    }

    /// As [`set_polled`](Self::set_polled), where polls are recorded.
    #[inline]
    pub(crate) fn record_polled(&self, origin: &Origin) {
        self.set_polled(origin);
        self.reactor.probe.poll_begins(origin.id.0);
    }

    /// As [`set_polled`](Self::set_polled), where polls are timed.
    #[inline]
    pub(crate) fn watch_polled(&self, origin: &Origin) {
        self.record_polled(origin);
        if let Some(running) = &self.shared.running {
            running.set(origin.id, origin.spawned_at, self.reactor.probe.latest());
        }
    }

    /// True if a task has panicked since [`between_polls`](Self::between_polls) was called.
    #[inline]
    pub(crate) fn has_panicked(&self) -> bool {
        self.sights.has_panicked.get()
    }

    /// A poll is over that was only recorded.
    #[inline]
    pub(crate) fn recorded_poll_has_ended(&self) {
        self.reactor.probe.recorded_poll_ends(|| self.reactor.now());
    }

    /// A poll is over. Returns how many nanoseconds it took, if times are measured.
    #[inline]
    pub(crate) fn poll_has_ended(&self) -> u64 {
        self.reactor.probe.poll_ends(|| self.reactor.now())
    }

    /// Runs other code than a poll: nobody is polled, and the time is no poll's.
    #[cold]
    pub(crate) fn between_polls(&self, f: impl FnOnce()) {
        let probe = &self.reactor.probe;
        self.nobody_is_polled();
        self.sights.has_panicked.set(false);
        probe.between_polls(|| self.reactor.now());
        f();
        probe.between_polls(|| self.reactor.now());
    }

    /// Notes what has come from other threads.
    #[inline]
    pub(super) fn note_arrived(&self, arrived: &[Runnable]) {
        if cfg!(feature = "record") {
            let origins = arrived.iter().map(|runnable| runnable.metadata());
            origins.for_each(|origin| self.note_arrival(origin));
        }
    }

    fn note_arrival(&self, origin: &Origin) {
        let probe = &self.reactor.probe;
        // Another thread has spawned it, and it has not waited yet.
        if origin.spawned().is_none() {
            probe.spawned_elsewhere(origin.id.0, origin.spawned_at, origin.name());
        }
        probe.arrived(origin.id.0);
    }

    /// How many tasks can go on.
    pub(crate) fn count_ready(&self) -> usize {
        let mut count = self.queues.borrow().iter().count();
        self.shared.inbox.each(|_| count += 1);
        count
    }

    /// The task that is being polled.
    pub(crate) fn running_id(&self) -> Option<TaskId> {
        self.running().map(|origin| origin.id)
    }

    fn running(&self) -> Option<&Origin> {
        // SAFETY: it is set right before the task's poll, and taken away when the task's future is
        // dropped. If the poll leaves the future alive, no code runs that asks until the next one
        // is set, or the guard takes it away, which a panic does, too. `Runtime::run_batch` must
        // keep to that.
        self.sights.polled.get().map(|origin| unsafe { origin.get() })
    }

    /// Shows a future that is driven beside the tasks.
    pub(crate) fn show(&self, root: Arc<dyn Rooted>, waker: *const ()) -> Shown<'_> {
        let before = self.sights.root.replace(Some(Root { root, waker }));
        drop(before);
        Shown(self)
    }

    /// Nanoseconds since the executor was made.
    pub(crate) fn nanos(&self, time: Instant) -> u64 {
        self.reactor.probe.nanos(time)
    }

    /// The time as far as it matters for an age: within a turn, the clock is read once.
    #[inline]
    pub(crate) fn recently(&self) -> u64 {
        let (turn, time) = self.sights.recent.get();
        let this_turn = self.counters().turns.get();
        if turn == this_turn && self.is_running() { time } else { self.read_clock(this_turn, time) }
    }

    #[cold]
    fn read_clock(&self, this_turn: u64, time: u64) -> u64 {
        // A back end that waits just now may be asked for nothing else.
        let Some(now) = self.reactor.try_now() else { return time };
        let now = self.nanos(now);
        self.sights.recent.set((this_turn, now));
        now
    }

    /// Each note: the task that left it, and what it says.
    pub(crate) fn each_note(&self, f: impl FnMut(TaskId, &Name)) {
        self.shared.notes.each(f);
    }

    /// How many tasks have not ended, without the root.
    pub(crate) fn count_tasks(&self) -> usize {
        self.shared.spawned().saturating_sub(self.counters().ended.get()) as usize
    }

    /// Each task that has not ended, and the root.
    pub(crate) fn each_task(&self, mut f: impl FnMut(Sight<'_>)) {
        let mut seen = HashSet::new();
        let waiting = self.waiting.borrow();
        let mut tell = |origin: &Origin, state| {
            if seen.insert(origin.id) {
                let waker = waiting.get(origin.id).map(|sleeper| sleeper.waker.data());
                f(Sight { origin, state, waker });
            }
        };
        // The root's waker is not in the table.
        let root = self.sights.root.borrow();
        let is_root = |origin: &Origin| origin.id == TaskId::ROOT;
        if let Some(running) = self.running().filter(|running| !is_root(running)) {
            tell(running, TaskState::Running);
        }
        let mut ready = |runnable: &Runnable| tell(runnable.metadata(), TaskState::Ready);
        self.queues.borrow().iter().for_each(&mut ready);
        self.shared.inbox.each(&mut ready);
        for sleeper in waiting.values() {
            // SAFETY: it is in the table until its future is dropped, which this does not do.
            tell(unsafe { sleeper.origin.get() }, TaskState::Waiting);
        }
        if let Some(Root { root, waker }) = &*root {
            let state = match self.running() {
                Some(running) if is_root(running) => TaskState::Running,
                _ if root.is_woken() => TaskState::Ready,
                _ => TaskState::Waiting,
            };
            f(Sight { origin: root.origin(), state, waker: Some(*waker) });
        }
    }
}
