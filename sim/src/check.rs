//! Many seeds, and how one that fails is made small and repeated.

use std::ops::Range;
use std::panic::Location;

use crate::attempt::{Attempts, variable};
use crate::marks;
use crate::shrink::report;
use crate::sim::Sim;

/// Runs a test with each of these seeds, and panics if one fails: with the seed, its faults, and the
/// line that repeats it.
///
/// The test makes its hosts, draws its faults ([`Sim::draw_faults`]), runs, and panics if something
/// is not as it should be. Inside a `#[test]`, the seeds are run by several processes side by side:
/// the test's own program, as often as there are processors.
///
/// Of a seed that fails, faults are left out, many and then one by one, as long as it still fails.
/// Often each fault that is left only shapes what comes later. So the same is tried again with other
/// latencies and other turns of the hosts, as if the seed's faults met another day.
///
/// | variable | |
/// | --- | --- |
/// | `SELKIE_SEED=7` | this seed alone, in this process |
/// | `SELKIE_FAULTS=0,4` | of the faults, only those with these numbers; empty for none |
/// | `SELKIE_TIMING=3` | the same faults, with other latencies and turns |
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

pub(crate) fn parsed<T: std::str::FromStr>(variable: &str, text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{variable}={text}: that is no number"))
}

fn range(text: &str) -> Range<u64> {
    let ends = text.split_once("..");
    let (start, end) = ends.unwrap_or_else(|| panic!("SELKIE_SEEDS={text}: write it as 0..1000"));
    parsed("SELKIE_SEEDS", start)..parsed("SELKIE_SEEDS", end)
}
