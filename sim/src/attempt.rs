//! Runs a test with a seed: in this process, or in another one of the same program.

use std::any::{Any, type_name};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::Write as _;
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

/// What a child process is told: the place of the check, and its seeds.
const CHILD: &str = "SELKIE_SIM_CHILD";

/// What begins a line of a child's output that is for its parent.
const TELLS: &str = "selkie-sim tells: ";

/// A run that has failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) seed: u64,
    pub(crate) text: String,
    /// By number.
    pub(crate) faults: Vec<(usize, String)>,
}

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
        format!("cargo test{package} {name}")
    }

    fn here(&self, seed: u64, left_in: LeftIn, keeps_trace: bool) -> Result<(), Failed> {
        let mut sim = Sim::new(seed);
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
        let faults = sim.faults().into_iter().map(|(number, fault)| (number, fault.to_string()));
        let faults = faults.collect();
        // Its hosts end in there.
        drop(sim);
        let text_of = |payload: Box<dyn Any + Send>| text_of(&*payload).to_owned();
        result.map_err(|payload| Failed { seed, text: text_of(payload), faults })
    }

    /// The run that `SELKIE_SEED` and `SELKIE_FAULTS` tell.
    pub(crate) fn repeat(&self, seed: u64) -> Result<(), Failed> {
        self.here(seed, left_in(), variable("SELKIE_TRACE").is_some())
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
        let mut next = || numbers.next().expect("three numbers");
        let (start, end, step) = (next(), next(), next());
        if end - start == 1 {
            // The process may end before it can tell of them.
            self.on_plan.set(Some(|number, fault| tell("plans", &format!("{number} {fault}"))));
        }
        for seed in (start..end).step_by(step as usize) {
            tell("begins", &seed.to_string());
            if let Err(failed) = self.here(seed, left_in(), false) {
                tell("fails", &format!("{seed} {}", escaped(&failed.text)));
                for (number, fault) in failed.faults {
                    tell("fault", &format!("{number} {fault}"));
                }
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
            return seeds.into_iter().find_map(|seed| self.here(seed, left_in(), false).err());
        }
        let step = processes as u64;
        let results: Vec<_> = thread::scope(|scope| {
            let child = |first| {
                let (program, seeds) = (&self.program, (first, seeds.end, step));
                scope.spawn(move || program.child(check, seeds, None))
            };
            let children: Vec<_> = (seeds.start..seeds.start + step).map(child).collect();
            children.into_iter().map(|child| child.join().expect("it only waits")).collect()
        });
        results.into_iter().flatten().min_by_key(|failed| failed.seed)
    }

    /// Runs a seed alone, with some of its faults. Returns the failure, if it fails.
    pub(crate) fn try_with(&self, seed: u64, faults: Option<&BTreeSet<usize>>) -> Option<Failed> {
        if self.program.name.is_some() {
            self.program.child(0, (seed, seed + 1, 1), faults)
        } else {
            let left_in = faults.map_or_else(left_in, |faults| LeftIn::Only(faults.clone()));
            self.here(seed, left_in, false).err()
        }
    }
}

impl Program {
    /// Runs seeds in another process.
    fn child(
        &self,
        check: u64,
        (start, end, step): (u64, u64, u64),
        faults: Option<&BTreeSet<usize>>,
    ) -> Option<Failed> {
        let name = self.name.as_deref().unwrap_or_default();
        let program = env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        command
            .args([name, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"])
            .env(CHILD, format!("{} {start} {end} {step}", self.location))
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
                return Some(Failed { seed: start, text, faults: vec![] });
            }
            // It was ended from outside, by an abort, or by an exit.
            let errors = String::from_utf8_lossy(&output.stderr);
            let errors = end_of(&errors);
            let text = format!("its process has ended by {}:\n{errors}", output.status);
            let seed = told.seed.unwrap_or(start);
            return Some(Failed { seed, text, faults: told.planned });
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

/// What a child has told.
#[derive(Debug, Default)]
struct Told {
    /// The last one that was begun, and what was planned in it.
    seed: Option<u64>,
    planned: Vec<(usize, String)>,
    failed: Option<Failed>,
    /// Whether it came to its end.
    has_ended: bool,
}

fn understand(check: u64, text: &str) -> Told {
    let mut told = Told::default();
    // The harness, or the test, may have begun the line.
    for line in text.lines().filter_map(|line| Some(line.split_once(TELLS)?.1)) {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (first, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match what {
            "begins" => told.seed = Some(parsed(CHILD, first)),
            "plans" => told.planned.push((parsed(CHILD, first), rest.to_owned())),
            "fails" => {
                let (seed, text) = (parsed(CHILD, first), unescaped(rest));
                told.failed = Some(Failed { seed, text, faults: vec![] });
            }
            "fault" => {
                let fault = (parsed(CHILD, first), rest.to_owned());
                told.failed.iter_mut().for_each(|failed| failed.faults.push(fault.clone()));
            }
            "mark" => {
                let (place, condition) = rest.split_once(' ').unwrap_or((rest, ""));
                marks::note(check, (place.to_owned(), unescaped(condition)), first == "true");
            }
            _ => told.has_ended = true,
        }
    }
    told
}

/// The test that a closure is in, by the name of its type: `suite::module::test::{{closure}}`.
fn test_of(closure: &str) -> &str {
    let path = closure.split("::{{closure}}").next().unwrap_or_default();
    path.split_once("::").map_or(path, |(_suite, test)| test)
}

fn tell(what: &str, text: &str) {
    // A parent that is gone needs nothing.
    let _ = writeln!(std::io::stdout(), "{TELLS}{what} {text}");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '\\' => plain.push(if rest.next() == Some('n') { '\n' } else { '\\' }),
            other => plain.push(other),
        }
    }
    plain
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
    fn a_text_of_several_lines_is_told_in_one() {
        for text in ["", "one", "one\ntwo\n", "a\\n\\\nb"] {
            assert_eq!(unescaped(&escaped(text)), text);
            assert!(!escaped(text).contains('\n'));
        }
    }

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

    #[test]
    fn a_child_that_says_nothing_has_not_come_to_its_end() {
        assert!(!understand(0, "running 1 test\n").has_ended);
        let text =
            format!("test x ... {TELLS}fails 7 it\\nfailed\n{TELLS}fault 3 a b\n{TELLS}ends ");
        let told = understand(0, &text);
        let failed = told.failed.unwrap();
        assert!(told.has_ended);
        assert_eq!((failed.seed, failed.text.as_str()), (7, "it\nfailed"));
        assert_eq!(failed.faults, [(3, "a b".to_owned())]);
    }
}
