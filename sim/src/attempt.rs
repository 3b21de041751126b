//! Runs a test with a seed: in this process, or in another one of the same program.

use std::any::{Any, type_name};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::thread;

use crate::check::parsed;
use crate::draw::LeftIn;
use crate::fault::Fault;
use crate::marks;
use crate::perfetto;
use crate::shared::between_runs;
use crate::sim::{Sim, text_of};
use crate::told::{CHILD, Failed, Happened, escaped, tell, understand};

pub(crate) struct Attempts<'t, F> {
    test: &'t F,
    program: Program,
    /// Called for each fault that is planned.
    on_plan: Cell<Option<OnPlan>>,
}

/// Is told a fault, and its number.
pub(crate) type OnPlan = fn(usize, &Fault);

/// How this program is run again.
struct Program {
    /// Of the check, and which call of it on this thread: a test may make several in a loop.
    location: String,
    /// The name of the `#[test]`, if there is one.
    name: Option<String>,
}

pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

thread_local! {
    /// How often each check was called.
    static CALLS: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// How often this check was called before, on this thread.
fn calls_of(location: &str) -> u64 {
    CALLS.with_borrow_mut(|calls| {
        let count = calls.entry(location.to_owned()).or_default();
        *count += 1;
        *count - 1
    })
}

impl<'t, F: Fn(&mut Sim)> Attempts<'t, F> {
    pub(crate) fn new(location: &str, test: &'t F) -> Self {
        // The harness calls a test's thread like the test.
        let name = thread::current().name().filter(|name| *name != "main").map(str::to_owned);
        let program = Program { location: format!("{location}#{}", calls_of(location)), name };
        Self { test, program, on_plan: Cell::new(None) }
    }

    /// How a seed is repeated.
    pub(crate) fn command(&self) -> String {
        let package =
            variable("CARGO_PKG_NAME").map_or(String::new(), |name| format!(" -p {name}"));
        let name = self.program.name.as_deref().unwrap_or_else(|| test_of(type_name::<F>()));
        let release = if cfg!(debug_assertions) { "" } else { " --release" };
        // The test may be one that is usually left out.
        let is_asked = |argument: String| argument.ends_with("ignored");
        let ignored = if env::args().any(is_asked) { " -- --include-ignored" } else { "" };
        format!("cargo test{release}{package} {name}{ignored}")
    }

    fn here(
        &self,
        seed: u64,
        timing: u64,
        left_in: LeftIn,
        keeps_trace: bool,
    ) -> Result<(), Failed> {
        let mut sim = Sim::with_timing(seed, timing);
        sim.left_in = left_in;
        sim.on_plan = self.on_plan.get();
        if keeps_trace {
            sim.keep_trace();
        }
        let result = catch_unwind(AssertUnwindSafe(|| (self.test)(&mut sim)));
        if keeps_trace && let Some(file) = variable("SELKIE_TRACE") {
            let written = perfetto::save(&sim.trace(), &file);
            written.unwrap_or_else(|error| panic!("SELKIE_TRACE={file}: {error}"));
        }
        let faults = sim.faults();
        let faults = faults.iter().map(|(number, fault)| Happened::new(*number, fault)).collect();
        // Its hosts end in there.
        drop(sim);
        let text_of = |payload: Box<dyn Any + Send>| text_of(&*payload).to_owned();
        result.map_err(|payload| Failed { seed, text: text_of(payload), faults, timing })
    }

    /// That of `SELKIE_TIMING`, alone.
    pub(crate) fn timings(&self) -> Range<u64> {
        let timing = variable("SELKIE_TIMING").map_or(0, |text| parsed("SELKIE_TIMING", &text));
        timing..timing + 1
    }

    /// The run that `SELKIE_SEED` and `SELKIE_FAULTS` tell.
    pub(crate) fn repeat(&self, seed: u64) -> Result<(), Failed> {
        let keeps_trace = variable("SELKIE_TRACE").is_some();
        self.here(seed, self.timings().start, left_in(), keeps_trace)
    }

    /// Does what a parent has told this process to. `None` if it is none's child.
    pub(crate) fn as_child(&self) -> Option<Result<(), String>> {
        let told = variable(CHILD)?;
        let (location, seeds) = told.split_once(' ').unwrap_or_default();
        // A test may have several checks.
        if location != self.program.location {
            return Some(Ok(()));
        }
        let mut numbers = seeds.split(' ').map(|number| parsed::<u64>(CHILD, number));
        let mut next = || numbers.next().expect("five numbers");
        let (start, end, step) = (next(), next(), next());
        let timings = next()..next();
        if end - start == 1 {
            // The process may end before it can tell of them.
            self.on_plan.set(Some(|number, fault| Happened::new(number, fault).tell("plans")));
        }
        let seeds = (start..end).step_by(step as usize);
        for (seed, timing) in seeds.flat_map(|seed| timings.clone().map(move |it| (seed, it))) {
            tell("begins", &format!("{seed} {timing}"));
            if let Err(failed) = self.here(seed, timing, left_in(), false) {
                tell("fails", &format!("{seed} {}", escaped(&failed.text)));
                failed.faults.iter().for_each(|fault| fault.tell("fault"));
                break;
            }
        }
        for ((place, condition), reached) in marks::of(marks::current()) {
            tell("mark", &format!("{reached} {place} {}", escaped(&condition)));
        }
        tell("ends", "");
        Some(Ok(()))
    }

    /// Runs all seeds. Returns the failure of the first one that fails.
    pub(crate) fn first_failure(&self, check: u64, seeds: Range<u64>) -> Option<Failed> {
        let usual = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let processes = variable("SELKIE_PROCESSES");
        let processes = processes.map_or(usual, |count| parsed("SELKIE_PROCESSES", &count));
        // A few seeds are done before a process has begun.
        if self.program.name.is_none() || processes < 2 || seeds.end.saturating_sub(seeds.start) < 8
        {
            let timing = self.timings().start;
            let run = |seed| self.here(seed, timing, left_in(), false).err();
            return seeds.into_iter().find_map(run);
        }
        let step = processes as u64;
        let results: Vec<_> = thread::scope(|scope| {
            let child = |first| {
                let (program, seeds) = (&self.program, (first, seeds.end, step));
                let timings = self.timings();
                scope.spawn(move || program.child(check, seeds, timings, None))
            };
            let children: Vec<_> = (seeds.start..seeds.start + step).map(child).collect();
            children.into_iter().map(|child| child.join().expect("it only waits")).collect()
        });
        results.into_iter().flatten().min_by_key(|failed| failed.seed)
    }

    /// Runs a seed alone, with some of its faults, with each of these timings. Returns the first
    /// failure, if it fails.
    pub(crate) fn try_with(
        &self,
        seed: u64,
        faults: Option<&BTreeSet<usize>>,
        timings: Range<u64>,
    ) -> Option<Failed> {
        if self.program.name.is_some() {
            return self.program.side_by_side(seed, faults, timings);
        }
        let left_in = faults.map_or_else(left_in, |faults| LeftIn::Only(faults.clone()));
        timings.into_iter().find_map(|timing| self.here(seed, timing, left_in.clone(), false).err())
    }
}

impl Program {
    /// Runs a seed with each of these timings, in two processes at the same time.
    fn side_by_side(
        &self,
        seed: u64,
        faults: Option<&BTreeSet<usize>>,
        timings: Range<u64>,
    ) -> Option<Failed> {
        let half = timings.start + (timings.end - timings.start).div_ceil(2);
        let halves = [timings.start..half, half..timings.end];
        let found = thread::scope(|scope| {
            let run = |timings: Range<u64>| {
                let run = || self.child(0, (seed, seed + 1, 1), timings, faults);
                scope.spawn(run)
            };
            let halves = halves.into_iter().filter(|half| !half.is_empty());
            let children: Vec<_> = halves.map(run).collect();
            let ended = children.into_iter().map(|child| child.join().expect("it only waits"));
            ended.collect::<Vec<_>>()
        });
        found.into_iter().flatten().next()
    }

    /// Runs seeds in another process.
    fn child(
        &self,
        check: u64,
        (start, end, step): (u64, u64, u64),
        timings: Range<u64>,
        faults: Option<&BTreeSet<usize>>,
    ) -> Option<Failed> {
        let name = self.name.as_deref().unwrap_or_default();
        let program = env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        command
            .args([name, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"])
            .env(
                CHILD,
                format!("{} {start} {end} {step} {} {}", self.location, timings.start, timings.end),
            )
            .env_remove("RUST_TEST_THREADS")
            .stdin(Stdio::null());
        if let Some(faults) = faults {
            let numbers: Vec<_> = faults.iter().map(usize::to_string).collect();
            command.env("SELKIE_FAULTS", numbers.join(","));
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = between_runs(|| command.spawn()).expect("the program of this test runs again");
        let output = child.wait_with_output().expect("its output can be read");
        let text = String::from_utf8_lossy(&output.stdout);
        let told = understand(check, &text);
        if !told.has_ended {
            if told.seed.is_none() && output.status.success() {
                let text = format!(
                    "no process has run it: a check asks for its test by the name of its thread, \
                     and no #[test] is called {name:?}; call check on the thread of the test, or \
                     on one without a name"
                );
                return Some(Failed { seed: start, text, faults: vec![], timing: 0 });
            }
            // It was ended from outside, by an abort, or by an exit.
            let errors = String::from_utf8_lossy(&output.stderr);
            let errors = end_of(&errors);
            let text = format!("its process has ended by {}:\n{errors}", output.status);
            let (seed, timing) = (told.seed.unwrap_or(start), told.timing);
            return Some(Failed { seed, text, faults: told.planned, timing });
        }
        told.failed
    }
}

/// As much of it as a report has room for.
fn end_of(text: &str) -> &str {
    /// Bytes.
    const ROOM: usize = 4096;
    let text = text.trim_end();
    let start = (text.len().saturating_sub(ROOM)..text.len()).find(|at| text.is_char_boundary(*at));
    start.map_or("", |start| &text[start..])
}

/// The test that a closure is in, by the name of its type: `suite::module::test::{{closure}}`.
fn test_of(closure: &str) -> &str {
    let path = closure.split("::{{closure}}").next().unwrap_or_default();
    path.split_once("::").map_or(path, |(_suite, test)| test)
}

/// What `SELKIE_FAULTS` says.
fn left_in() -> LeftIn {
    match variable("SELKIE_FAULTS") {
        None => LeftIn::All,
        Some(list) => {
            let numbers = list.split(',').filter(|number| !number.is_empty());
            LeftIn::Only(numbers.map(|number| parsed("SELKIE_FAULTS", number)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_child_that_prints_megabytes_the_end_is_told() {
        let long = "é".repeat(1_000_000) + "the end\n";
        assert!(end_of(&long).ends_with("éthe end") && end_of(&long).len() <= 4096);
        assert_eq!([end_of("short\n"), end_of("")], ["short", ""]);
    }

    #[test]
    fn a_test_is_named_by_a_closure_in_it() {
        assert_eq!(test_of("suite::module::test::{{closure}}::{{closure}}"), "module::test");
        assert_eq!(test_of("suite::function"), "function");
    }
}
