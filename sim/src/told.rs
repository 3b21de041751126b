//! What a process that runs seeds tells the one that has started it, a line for each thing.

use std::io::Write as _;

use crate::check::parsed;
use crate::fault::Fault;
use crate::marks;
use crate::rng::nanos;

/// What a child process is told: the place of the check, and its seeds.
pub(crate) const CHILD: &str = "SELKIE_SIM_CHILD";

/// What begins a line of a child's output that is for its parent.
const TELLS: &str = "selkie-sim tells: ";

/// A run that has failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) seed: u64,
    pub(crate) text: String,
    /// By number.
    pub(crate) faults: Vec<Happened>,
    /// Which of the seed's timings it was; 0 is its own.
    pub(crate) timing: u64,
}

/// A fault of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happened {
    pub(crate) number: usize,
    /// Nanoseconds after it was planned.
    pub(crate) begins: u64,
    pub(crate) text: String,
}

impl Happened {
    pub(crate) fn new(number: usize, fault: &Fault) -> Self {
        Self { number, begins: nanos(fault.after), text: fault.to_string() }
    }

    /// For another process: one that understands it by `told`.
    pub(crate) fn tell(&self, what: &str) {
        tell(what, &format!("{} {} {}", self.number, self.begins, self.text));
    }

    fn told(first: &str, rest: &str) -> Self {
        let (begins, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let (number, begins) = (parsed(CHILD, first), parsed(CHILD, begins));
        Self { number, begins, text: text.to_owned() }
    }
}

/// What a child has told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The last one that was begun, and what was planned in it.
    pub(crate) seed: Option<u64>,
    pub(crate) timing: u64,
    pub(crate) planned: Vec<Happened>,
    pub(crate) failed: Option<Failed>,
    /// Whether it came to its end.
    pub(crate) has_ended: bool,
}

pub(crate) fn understand(check: u64, text: &str) -> Told {
    let mut told = Told::default();
    // The harness, or the test, may have begun the line.
    for line in text.lines().filter_map(|line| Some(line.split_once(TELLS)?.1)) {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (first, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match what {
            "begins" => {
                told.seed = Some(parsed(CHILD, first));
                told.timing = parsed(CHILD, rest);
                told.planned.clear();
            }
            "plans" => told.planned.push(Happened::told(first, rest)),
            "fails" => {
                let (seed, text) = (parsed(CHILD, first), unescaped(rest));
                told.failed = Some(Failed { seed, text, faults: vec![], timing: told.timing });
            }
            "fault" => {
                let faults = told.failed.iter_mut().map(|failed| &mut failed.faults);
                faults.for_each(|faults| faults.push(Happened::told(first, rest)));
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

pub(crate) fn tell(what: &str, text: &str) {
    // A parent that is gone needs nothing.
    let _ = writeln!(std::io::stdout(), "{TELLS}{what} {text}");
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

pub(crate) fn unescaped(text: &str) -> String {
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
    fn a_child_that_says_nothing_has_not_come_to_its_end() {
        assert!(!understand(0, "running 1 test\n").has_ended);
        let text =
            format!("test x ... {TELLS}fails 7 it\\nfailed\n{TELLS}fault 3 17 a b\n{TELLS}ends ");
        let told = understand(0, &text);
        let failed = told.failed.unwrap();
        assert!(told.has_ended);
        assert_eq!((failed.seed, failed.text.as_str()), (7, "it\nfailed"));
        assert_eq!(failed.faults, [Happened { number: 3, begins: 17, text: "a b".to_owned() }]);
    }
}
