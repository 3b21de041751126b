//! How a seed that fails is made small, and what is told of it.
//! Invariant: what is told is a run that has failed just so.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::attempt::Attempts;
use crate::sim::Sim;
use crate::told::Failed;

/// Leaves out as many faults as can be, and tells what is left.
pub(crate) fn report<F: Fn(&mut Sim)>(
    attempts: &Attempts<'_, F>,
    failed: Failed,
    seeds: &Range<u64>,
) -> String {
    let seed = failed.seed;
    // In a process of its own, as the line that repeats it runs it.
    let Some(alone) = attempts.try_with(seed, None, attempts.timings()) else {
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
    let mut shrinking = Shrinking { attempts, failed: alone, tries: 0, start: Instant::now() };
    shrinking.leave_out(attempts.timings(), LONGEST);
    // One that is left is told with the seed's own timing.
    if shrinking.failed.faults.len() > 1 {
        shrinking.leave_in_the_last();
        shrinking.leave_out(TIMINGS, LONGEST_WITH_TIMINGS);
    }
    let Shrinking { failed: small, tries, .. } = shrinking;
    let numbers: Vec<String> = small.faults.iter().map(|fault| fault.number.to_string()).collect();
    let mut text = format!("seed {seed} fails: {}\n", small.text);
    // Writing to a string cannot fail.
    let _ = match (all, small.faults.len()) {
        (0, _) => writeln!(text, "without any fault"),
        (_, 0) => writeln!(text, "without any of its {all} faults ({tries} tries)"),
        (_, left) => writeln!(text, "with {left} of its {all} faults ({tries} tries):"),
    };
    for fault in &small.faults {
        let _ = writeln!(text, "  {}: {}", fault.number, fault.text);
    }
    let faults =
        if all == 0 { String::new() } else { format!(" SELKIE_FAULTS={}", numbers.join(",")) };
    let timing = match small.timing {
        0 => String::new(),
        timing => format!(" SELKIE_TIMING={timing}"),
    };
    let _ = write!(text, "repeat it: SELKIE_SEED={seed}{faults}{timing} {}", attempts.command());
    text
}

struct Shrinking<'a, 't, F> {
    attempts: &'a Attempts<'t, F>,
    failed: Failed,
    tries: u32,
    start: Instant,
}

impl<F: Fn(&mut Sim)> Shrinking<'_, '_, F> {
    /// Leaves faults out, half of them first, then fewer, as long as it still fails, with one of these
    /// timings.
    fn leave_out(&mut self, timings: Range<u64>, longest: Duration) {
        let mut chunk = self.failed.faults.len();
        let most = self.tries + MOST_TRIES;
        let may_go_on = |it: &Self| it.tries < most && it.start.elapsed() < longest;
        while chunk > 0 && may_go_on(self) {
            let before = self.failed.faults.len();
            let mut start = 0;
            while start < self.failed.faults.len() && may_go_on(self) {
                let end = (start + chunk).min(self.failed.faults.len());
                if !self.try_without(start..end, timings.clone()) {
                    start = end;
                }
            }
            // One by one, until none can be left out.
            let is_less = self.failed.faults.len() < before;
            chunk = if chunk == 1 && is_less { 1 } else { chunk / 2 };
        }
    }

    /// Leaves only the last ones in, as few as can be: often those before only shape them.
    fn leave_in_the_last(&mut self) {
        let mut faults: Vec<_> =
            self.failed.faults.iter().map(|it| (it.begins, it.number)).collect();
        faults.sort_unstable();
        for count in (0..).map(|power| 1 << power).take_while(|count| *count < faults.len()) {
            let last = faults[faults.len() - count..].iter().map(|(_, number)| *number).collect();
            if self.try_with(&last, TIMINGS) {
                return;
            }
        }
    }

    fn try_without(&mut self, left_out: Range<usize>, timings: Range<u64>) -> bool {
        let numbers = self.failed.faults.iter().map(|fault| fault.number).enumerate();
        let rest = numbers.filter(|(place, _)| !left_out.contains(place));
        let rest = rest.map(|(_, number)| number).collect();
        self.try_with(&rest, timings)
    }

    fn try_with(&mut self, rest: &BTreeSet<usize>, timings: Range<u64>) -> bool {
        self.tries += 1;
        match self.attempts.try_with(self.failed.seed, Some(rest), timings.clone()) {
            // With another timing, another bug may show.
            Some(smaller)
                if timings.start == 0 || kind(&smaller.text) == kind(&self.failed.text) =>
            {
                self.failed = smaller;
                true
            }
            _ => false,
        }
    }
}

/// A failure without its times, its hosts' numbers and the like.
fn kind(text: &str) -> String {
    text.chars().filter(|it| !it.is_ascii_digit()).collect()
}

/// With 30 faults, some 60 tries find what is needed.
const MOST_TRIES: u32 = 300;

/// A try that blocks in real time takes as long as the watchdog waits.
const LONGEST: Duration = Duration::from_secs(300);

/// Those that are tried for each that could be left out.
const TIMINGS: Range<u64> = 1..17;

const LONGEST_WITH_TIMINGS: Duration = Duration::from_secs(120);
