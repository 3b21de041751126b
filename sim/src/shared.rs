//! What the threads of a simulation share, and how the baton goes from one to the other.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use crate::baton::Seat;
use crate::host::HostShared;
use crate::interposed::instant_and_clock;
use crate::marks;
use crate::rng::nanos;
use crate::socket::Census;
use crate::state::{Index, Next, State};

pub(crate) struct Shared {
    state: Mutex<State>,
    /// Where virtual time begins on the clock of the process.
    base: Instant,
    /// And on the clock of the system.
    pub(crate) clock_at_start: Duration,
    pub(crate) driver: Seat,
    pub(crate) flags: Arc<Flags>,
    /// The check that this is a run of.
    pub(crate) check: u64,
}

/// What is read and written without the lock.
#[derive(Default)]
pub(crate) struct Flags {
    /// The virtual time.
    pub(crate) clock: AtomicU64,
    /// How often the baton was handed on, or kept.
    pub(crate) steps: AtomicU64,
    /// A host was notified.
    pub(crate) notified: AtomicBool,
    /// By a thread that is none of the simulation's.
    pub(crate) notified_by_foreigner: AtomicBool,
}

/// Read while hosts run, written while a process is started: that has all descriptors until it
/// executes its program, and what is closed meanwhile is not closed.
static FORKS: RwLock<()> = RwLock::new(());

/// Keeps other threads from starting processes by [`between_runs`].
pub(crate) fn without_forks() -> RwLockReadGuard<'static, ()> {
    FORKS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `f` while no simulation of this process runs: to start a process, where other tests simulate
/// on other threads.
///
/// A process that is started has the descriptors of this one for a moment, so that what a host closes
/// in this moment is still open. Then its peers learn it later, and the run is another one.
pub fn between_runs<R>(f: impl FnOnce() -> R) -> R {
    let _none_runs = FORKS.write().unwrap_or_else(PoisonError::into_inner);
    f()
}

thread_local! {
    /// True on the threads of a simulation.
    static TAKES_PART: Cell<bool> = const { Cell::new(false) };
}

/// Says that this thread is one of a simulation.
pub(crate) fn takes_part() {
    TAKES_PART.set(true);
}

impl Shared {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let flags = Arc::new(Flags::default());
        let (base, clock_at_start) = instant_and_clock();
        let census =
            Census::new().unwrap_or_else(|error| panic!("no descriptor for a simulation: {error}"));
        Arc::new(Self {
            state: Mutex::new(State::new(seed, Arc::clone(&flags), census)),
            base,
            clock_at_start,
            driver: Seat::default(),
            flags,
            check: marks::current(),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time on a host's clock.
    pub(crate) fn now_on(&self, host: &HostShared) -> Instant {
        self.base
            + Duration::from_nanos(host.clock().show(self.flags.clock.load(Ordering::Acquire)))
    }

    /// An instant of a host's clock as nanoseconds.
    pub(crate) fn since_start(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.base))
    }

    /// A host goes round its loop: lets the others go first, for as long as that takes.
    pub(crate) fn take_turn(&self, host: Index) {
        let mut state = self.lock();
        state.takes_turn(host);
        self.hand_on(state, host);
    }

    /// A host waits until something is ready, or for a time on its clock.
    pub(crate) fn sleep(&self, host: Index, deadline: Option<u64>) {
        let mut state = self.lock();
        state.sleeps(host, deadline);
        self.hand_on(state, host);
    }

    /// Hands the baton on, and comes back with it.
    fn hand_on(&self, mut state: MutexGuard<'_, State>, host: Index) {
        self.flags.steps.fetch_add(1, Ordering::Relaxed);
        if state.is_alone {
            self.go_alone(state);
            return;
        }
        let next = state.advance();
        if next == Next::Host(host) {
            return;
        }
        let own = Arc::clone(&state.hosts[host].shared);
        match next {
            Next::Host(next) if state.hosts[next].thread.is_some() => {
                let next = Arc::clone(&state.hosts[next].shared);
                drop(state);
                next.seat.give();
            }
            // It has no thread yet, or will have none.
            Next::Host(next) => {
                state.to_run = Some(next);
                drop(state);
                self.driver.give();
            }
            Next::Driver => {
                drop(state);
                self.driver.give();
            }
        }
        own.seat.wait();
    }

    /// A host was notified, perhaps in a signal handler.
    pub(crate) fn notified(&self) {
        self.flags.notified.store(true, Ordering::Release);
        if !TAKES_PART.get() {
            self.flags.notified_by_foreigner.store(true, Ordering::Release);
        }
    }
}
