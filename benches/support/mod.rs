//! What the benches share: short measurements, ratios out of one run, the limit of descriptors.
//!
//! Times are CPU times of the measuring thread where the work is all its own: those hold on a
//! machine that others use as well, where the time on the wall does not. A bench whose work waits,
//! for another thread or for the clock, measures by the wall and says so.

#![allow(dead_code)] // No bench needs all of it.

pub mod load;

use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Rounds of which a ratio is the median, if there is [`TIME_FOR_RATIOS`] for so many.
const ROUNDS: usize = 15;

/// Rounds that a ratio has in any case.
const LEAST_ROUNDS: usize = 3;

/// What the rounds of one comparison may take.
const TIME_FOR_RATIOS: Duration = Duration::from_secs(1);

/// What one side takes in one round at least: a thousand times what reading the clock costs.
const TIME_PER_ROUND: Duration = Duration::from_millis(4);

/// The CPU time that `work` takes of this thread.
pub fn cpu_time(work: impl FnOnce()) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("not negative");
    let start = now();
    work();
    now().saturating_sub(start)
}

/// The time on the wall that `work` takes.
pub fn wall_time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Does the work so many times, and says how long that took.
type Measure<'a> = Box<dyn FnMut(u64) -> Duration + 'a>;

/// Ways to do the same work.
pub struct Sides<'a> {
    name: String,
    sides: Vec<Side<'a>>,
}

struct Side<'a> {
    name: String,
    measure: Measure<'a>,
    /// False if it is left out, by a filter on the command line.
    has_run: bool,
}

impl<'a> Sides<'a> {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), sides: Vec::new() }
    }

    /// Adds a way; the first one is what the others are compared to.
    pub fn add(
        &mut self,
        name: impl ToString,
        measure: impl FnMut(u64) -> Duration + 'a,
    ) -> &mut Self {
        let side = Side { name: name.to_string(), measure: Box::new(measure), has_run: false };
        self.sides.push(side);
        self
    }
}

/// One bench: criterion, and the ratios that it prints at its end.
pub struct Bench {
    criterion: Criterion,
    ratios: Vec<String>,
    is_test: bool,
}

impl Bench {
    pub fn from_args() -> Self {
        let criterion = Criterion::default()
            .without_plots()
            .sample_size(10)
            .nresamples(2_000)
            .warm_up_time(Duration::from_millis(50))
            .measurement_time(Duration::from_millis(250))
            .configure_from_args();
        let is_test = std::env::args().any(|argument| argument == "--test")
            || !std::env::args().any(|argument| argument == "--bench");
        Self { criterion, ratios: Vec::new(), is_test }
    }

    /// Measures every side by itself, and then all of them in turns, for the ratios.
    pub fn run(&mut self, mut sides: Sides<'_>) {
        let mut group = self.criterion.benchmark_group(&sides.name);
        group.sampling_mode(SamplingMode::Flat);
        for side in &mut sides.sides {
            group.bench_function(&side.name, |bencher| {
                if !side.has_run {
                    // Makes what it needs, which criterion would take for part of an iteration.
                    (side.measure)(1);
                    side.has_run = true;
                }
                bencher.iter_custom(|iterations| (side.measure)(iterations));
            });
        }
        group.finish();
        sides.sides.retain(|side| side.has_run);
        if !self.is_test && sides.sides.len() > 1 {
            self.ratios.push(ratios(&mut sides));
        }
    }

    /// Prints the ratios.
    pub fn finish(self) {
        if !self.ratios.is_empty() {
            println!("Ratios to the first of each line, measured in turns: median (middle half)");
            self.ratios.iter().for_each(|line| println!("{line}"));
        }
        self.criterion.final_summary();
    }
}

/// One line: all sides, each relative to the first one of the same round.
fn ratios(sides: &mut Sides<'_>) -> String {
    let iterations: Vec<u64> = sides.sides.iter_mut().map(calibrate).collect();
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); sides.sides.len()];
    let start = Instant::now();
    for round in 0..ROUNDS {
        if round >= LEAST_ROUNDS && start.elapsed() > TIME_FOR_RATIOS {
            break;
        }
        let mut first = None;
        for ((side, &iterations), ratios) in
            sides.sides.iter_mut().zip(&iterations).zip(&mut rounds)
        {
            let each = (side.measure)(iterations).as_secs_f64() / iterations as f64;
            ratios.push(each / *first.get_or_insert(each));
        }
    }
    let columns = sides.sides.iter().zip(rounds).enumerate().map(|(place, (side, mut ratios))| {
        ratios.sort_by(f64::total_cmp);
        let quantile = |part: f64| ratios[(part * (ratios.len() - 1) as f64).round() as usize];
        match place {
            0 => format!("{} 1", side.name),
            _ => format!(
                "{} {:.2} ({:.2}–{:.2})",
                side.name,
                quantile(0.5),
                quantile(0.25),
                quantile(0.75)
            ),
        }
    });
    format!("  {}: {}", sides.name, columns.collect::<Vec<_>>().join(", "))
}

/// How many iterations make a round. Three tries each, since another process may have had the
/// machine for some of the time.
fn calibrate(side: &mut Side<'_>) -> u64 {
    let mut iterations = 1;
    let mut is_enough = |iterations| {
        let start = Instant::now();
        (side.measure)(iterations);
        start.elapsed() >= TIME_PER_ROUND
    };
    while !(0..3).all(|_| is_enough(iterations)) {
        iterations *= 2;
    }
    iterations
}

/// True if the process may have so many descriptors, for which its limit is raised as far as it
/// may be; says why not, else.
pub fn may_have_descriptors(wanted: u64, purpose: &str) -> bool {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a process has limits");
    let may = soft >= wanted
        || (hard >= wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok());
    if !may {
        println!("{purpose}: left out, it needs {wanted} descriptors and {hard} is the limit");
    }
    may
}
