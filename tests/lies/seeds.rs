//! One sequence after the other, each by its seed; what to say if one fails, and the counts.

use std::env;
use std::fmt;
use std::io;
use std::ops::Range;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use selkie::selector::{Backend, BackendKind};

use crate::liar::{Chance, Counts, Liar, Rates};

/// For what has to happen. Only a failing test waits for it.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Sequences of each test in a plain run.
const SEQUENCES: u64 = 120;

/// One sequence, as a scenario is given it.
pub struct Sequence {
    pub chance: Chance,
    pub rates: Rates,
    pub kind: BackendKind,
    pub tally: Arc<Tally>,
    label: String,
}

impl Sequence {
    fn new(seed: u64, kind: BackendKind, tally: &Arc<Tally>) -> Self {
        let mut chance = Chance::new(seed);
        let rates = Rates::ALL.some(&mut chance);
        let test = thread::current().name().unwrap_or_default().to_owned();
        let label = format!("repeat it by SELKIE_SEED={seed} cargo test --test lies {test}");
        Self { chance, rates, kind, tally: Arc::clone(tally), label }
    }

    /// The back end that lies.
    pub fn open(&mut self) -> Box<dyn Backend + Send> {
        let (inner, chance) = (self.kind.open().unwrap(), self.chance.fork());
        let counts = Arc::clone(&self.tally.lies);
        Liar::around(inner, self.rates, chance, counts, self.label.clone()).unwrap()
    }
}

/// What was done, over all sequences of a test.
#[derive(Debug, Default)]
pub struct Tally {
    pub lies: Arc<Counts>,
    pub sequences: AtomicU64,
    pub bytes: AtomicU64,
    pub connections: AtomicU64,
    pub given_up: AtomicU64,
    pub tasks: AtomicU64,
    pub panics: AtomicU64,
    pub timers: AtomicU64,
    pub remote: AtomicU64,
    pub refusals_met: AtomicU64,
}

/// Adds to a count.
pub fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Relaxed);
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sequences, bytes, connections, given_up, tasks, panics, timers, remote, refusals] = [
            &self.sequences,
            &self.bytes,
            &self.connections,
            &self.given_up,
            &self.tasks,
            &self.panics,
            &self.timers,
            &self.remote,
            &self.refusals_met,
        ]
        .map(|counter| counter.load(Relaxed));
        write!(
            f,
            "{sequences} sequences, {bytes} bytes checked, {connections} connections, {given_up} \
             operations given up, {tasks} tasks, {panics} panics, {timers} timers, {remote} remote \
             spawns and wakes, {refusals} errors met; {}",
            self.lies
        )
    }
}

/// True for the errors that a liar invents: try again.
pub fn is_invented(error: &io::Error) -> bool {
    [io::ErrorKind::OutOfMemory, io::ErrorKind::StorageFull].contains(&error.kind())
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value:?}")))
}

fn seeds() -> Range<u64> {
    match number("SELKIE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SELKIE_SEEDS").unwrap_or(SEQUENCES),
    }
}

/// Runs the scenario with each seed, on a thread of its own: a loop that is blocked, or spins,
/// cannot say so itself.
pub fn run_all(kind: BackendKind, scenario: fn(Sequence)) {
    let (tally, start) = (Arc::new(Tally::default()), Instant::now());
    for seed in seeds() {
        let sequence = Sequence::new(seed, kind, &tally);
        let label = sequence.label.clone();
        on_own_thread(&label, move || scenario(sequence));
        count(&tally.sequences, 1);
    }
    println!("{kind}: {tally}; {:.1?}", start.elapsed());
}

/// Runs a test that is stuck if it takes twice the [`DEADLINE`].
pub fn on_own_thread(label: &str, test: impl FnOnce() + Send + 'static) {
    let (alive, ended) = mpsc::channel::<()>();
    let name = thread::current().name().unwrap_or("test").to_owned();
    let test = move || {
        let _alive = alive;
        test();
    };
    let thread = thread::Builder::new().name(name).spawn(test).unwrap();
    if ended.recv_timeout(2 * DEADLINE) == Err(RecvTimeoutError::Timeout) {
        panic!("the loop is stuck; {label}");
    }
    if let Err(payload) = thread.join() {
        eprintln!("{label}");
        panic::resume_unwind(payload);
    }
}
