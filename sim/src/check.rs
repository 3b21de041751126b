//! Many seeds, and how one that fails is made small and repeated.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::panic::Location;
use std::time::{Duration, Instant};

use crate::attempt::{Attempts, Failed, variable};
use crate::marks;
use crate::sim::Sim;

/// Runs a test with each of these seeds, and panics if one fails: with the seed, its faults, and the
/// line that repeats it.
///
/// The test makes its hosts, draws its faults ([`Sim::draw_faults`]), runs, and panics if something
/// is not as it should be. Inside a `#[test]`, the seeds are run by several processes side by side:
/// the test's own program, as often as there are processors.
///
/// Of a seed that fails, faults are left out one by one, as long as it still fails.
///
/// | variable | |
/// | --- | --- |
/// | `SELKIE_SEED=7` | this seed alone, in this process |
/// | `SELKIE_FAULTS=0,4` | of the faults, only those with these numbers; empty for none |
/// | `SELKIE_SEEDS=0..1000` | these seeds, instead of those that the test names |
/// | `SELKIE_TRACE=FILE` | writes the steps of the run of `SELKIE_SEED` to a file: for Perfetto, if its name ends in `.json` |
/// | `SELKIE_PROCESSES=1` | how many processes |
///
/// ```
/// use selkie_sim::{Faults, check};
/// use std::time::Duration;
///
/// check(0..10, |sim| {
///     let host = sim.host("host", || selkie::sleep(Duration::from_secs(5)));
///     sim.draw_faults(&Faults::new(&[host], Duration::from_secs(3)));
///     sim.run_for(Duration::from_secs(10));
///     assert!(sim.has_ended(host));
/// });
/// ```
///
/// # Panics
/// If a seed fails, and if a [`sometimes!`](crate::sometimes) was never true.
#[track_caller]
pub fn check<F: Fn(&mut Sim)>(seeds: Range<u64>, test: F) {
    let location = Location::caller();
    let outer = marks::current();
    let number = marks::begin();
    let result = check_from(&location.to_string(), number, seeds, &test);
    marks::set_current(outer);
    if let Err(text) = result {
        panic!("{text}");
    }
}

/// Runs a test twice with a seed, and panics if the two runs differ: with the first step that does.
/// Returns the hash of the trace.
///
/// ```
/// use std::time::Duration;
///
/// let hash = selkie_sim::check_repeats(7, |sim| {
///     sim.host("host", || selkie::sleep(Duration::from_secs(5)));
///     sim.run_for(Duration::from_secs(10));
/// });
/// ```
///
/// # Panics
/// If the runs differ, and if the test panics.
#[track_caller]
pub fn check_repeats<F: Fn(&mut Sim)>(seed: u64, test: F) -> u64 {
    let [one, other] = [(); 2].map(|()| {
        let mut sim = Sim::new(seed);
        sim.keep_trace();
        test(&mut sim);
        sim.trace()
    });
    if let Some(difference) = one.difference(&other) {
        panic!(
            "two runs of seed {seed} differ; what differs comes from outside of the simulation, such \
             as from a static, the order of a HashMap, or std's clock. The first step that does:\n\
             {difference}"
        );
    }
    one.hash()
}

fn check_from<F: Fn(&mut Sim)>(
    location: &str,
    number: u64,
    seeds: Range<u64>,
    test: &F,
) -> Result<(), String> {
    let attempts = Attempts::new(location, test);
    if let Some(result) = attempts.as_child() {
        return result;
    }
    if let Some(seed) = variable("SELKIE_SEED") {
        return attempts.repeat(parsed("SELKIE_SEED", &seed)).map_err(|failed| failed.text);
    }
    let seeds = match variable("SELKIE_SEEDS") {
        Some(text) => range(&text),
        None => seeds,
    };
    match attempts.first_failure(number, seeds.clone()) {
        Some(failed) => Err(report(&attempts, failed, &seeds)),
        None => look_at_marks(number, &seeds),
    }
}

fn look_at_marks(number: u64, seeds: &Range<u64>) -> Result<(), String> {
    let missed = marks::of(number).into_iter().filter(|(_, reached)| !reached);
    let missed: Vec<_> = missed.map(|((place, text), _)| format!("`{text}` at {place}")).collect();
    if missed.is_empty() {
        return Ok(());
    }
    Err(format!("in none of the seeds {seeds:?} this was true: {}", missed.join(", ")))
}

/// Leaves out as many faults as can be, and tells what is left.
fn report<F: Fn(&mut Sim)>(
    attempts: &Attempts<'_, F>,
    failed: Failed,
    seeds: &Range<u64>,
) -> String {
    let seed = failed.seed;
    // In a process of its own, as the line that repeats it runs it.
    let Some(alone) = attempts.try_with(seed, None) else {
        return format!(
            "seed {seed} fails: {}\nbut not alone, in a process that runs no other seed before: \
             something is left of those, such as in a static\n\
             repeat it: SELKIE_PROCESSES=1 SELKIE_SEEDS={}..{} {}",
            failed.text,
            seeds.start,
            seed + 1,
            attempts.command()
        );
    };
    let all = alone.faults.len();
    let (small, tries) = shrink(attempts, alone);
    let numbers: Vec<String> = small.faults.iter().map(|(number, _)| number.to_string()).collect();
    let mut text = format!("seed {seed} fails: {}\n", small.text);
    // Writing to a string cannot fail.
    let _ = match (all, small.faults.len()) {
        (0, _) => writeln!(text, "without any fault"),
        (_, 0) => writeln!(text, "without any of its {all} faults ({tries} tries)"),
        (_, left) => writeln!(text, "with {left} of its {all} faults ({tries} tries):"),
    };
    for (number, fault) in &small.faults {
        let _ = writeln!(text, "  {number}: {fault}");
    }
    let faults =
        if all == 0 { String::new() } else { format!(" SELKIE_FAULTS={}", numbers.join(",")) };
    let _ = write!(text, "repeat it: SELKIE_SEED={seed}{faults} {}", attempts.command());
    text
}

/// Leaves faults out, half of them first, then fewer, as long as it still fails. Returns the
/// smallest failure, and how often it was tried.
fn shrink<F: Fn(&mut Sim)>(attempts: &Attempts<'_, F>, mut failed: Failed) -> (Failed, u32) {
    let (mut tries, start_time) = (0, Instant::now());
    let may_go_on = |tries| tries < MOST_TRIES && start_time.elapsed() < LONGEST;
    let mut chunk = failed.faults.len();
    while chunk > 0 && may_go_on(tries) {
        let before = failed.faults.len();
        let mut start = 0;
        while start < failed.faults.len() && may_go_on(tries) {
            let end = (start + chunk).min(failed.faults.len());
            let numbers = failed.faults.iter().map(|(number, _)| *number).enumerate();
            let rest = numbers.filter(|(place, _)| !(start..end).contains(place));
            let rest: BTreeSet<usize> = rest.map(|(_, number)| number).collect();
            tries += 1;
            match attempts.try_with(failed.seed, Some(&rest)) {
                Some(smaller) => failed = smaller,
                None => start = end,
            }
        }
        // One by one, until none can be left out.
        chunk = if chunk == 1 && failed.faults.len() < before { 1 } else { chunk / 2 };
    }
    (failed, tries)
}

/// With 30 faults, some 60 tries find what is needed.
const MOST_TRIES: u32 = 300;

/// A try that blocks in real time takes as long as the watchdog waits.
const LONGEST: Duration = Duration::from_secs(300);

pub(crate) fn parsed<T: std::str::FromStr>(variable: &str, text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{variable}={text}: that is no number"))
}

fn range(text: &str) -> Range<u64> {
    let ends = text.split_once("..");
    let (start, end) = ends.unwrap_or_else(|| panic!("SELKIE_SEEDS={text}: write it as 0..1000"));
    parsed("SELKIE_SEEDS", start)..parsed("SELKIE_SEEDS", end)
}
