//! What happened, step by step: always as a hash, on demand as text.
//! Invariant: nothing goes in that another process could have otherwise, such as the number of a
//! descriptor or a real time.

use std::fmt;
use std::time::Duration;

use crate::rng::mix;

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Starts,
    Ends,
    Batch,
    Connects,
    Connected,
    Listens,
    Accepts,
    Sends,
    Receives,
    Shuts,
    Resets,
    Refuses,
    Datagram,
    Fault,
}

impl Act {
    /// As it is shown.
    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    at: Duration,
    host: String,
    act: Act,
    detail: String,
    /// Of the act's numbers, among them the hash of the bytes that were moved.
    hash: u64,
}

impl Step {
    /// When, since the simulation began.
    #[must_use]
    pub fn at(&self) -> Duration {
        self.at
    }

    /// Who did it, or had it happen to it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn act(&self) -> Act {
        self.act
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, host, act, detail, hash } = self;
        let act = act.name();
        write!(f, "{:>14.9} {host:<10} {act:<9} {detail} [{:08x}]", at.as_secs_f64(), *hash as u32)
    }
}

/// The steps of a run.
///
/// Shown, it is a line for each: the virtual time in seconds, the host, what it did or what
/// happened to it, and the hash of the bytes.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    hash: u64,
    count: u64,
    kept: Option<Vec<Step>>,
}

impl Trace {
    pub(crate) fn keep(&mut self) {
        self.kept.get_or_insert_default();
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    pub(crate) fn add<const N: usize>(
        &mut self,
        at: u64,
        host: &str,
        act: Act,
        numbers: [u64; N],
        detail: impl FnOnce() -> String,
    ) {
        let of_host = crate::rng::hash_bytes(host.as_bytes());
        let hash = numbers.iter().fold(mix(act as u64, of_host), |hash, word| mix(hash, *word));
        self.hash = mix(mix(self.hash, at), hash);
        self.count += 1;
        if let Some(kept) = &mut self.kept {
            let (at, host) = (Duration::from_nanos(at), host.to_owned());
            kept.push(Step { at, host, act, detail: detail(), hash });
        }
    }

    /// A number that two runs have in common if every step of theirs is the same, and hardly ever
    /// otherwise.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many steps there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The steps, if they were [kept](crate::Sim::keep_trace).
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        self.kept.as_deref().unwrap_or_default()
    }

    /// The first step in which two runs differ, both kept; `None` if they do not.
    #[must_use]
    pub fn difference<'t>(&'t self, other: &'t Self) -> Option<Difference<'t>> {
        let (ours, theirs) = (self.steps(), other.steps());
        let same = ours.iter().zip(theirs).take_while(|(one, other)| one == other).count();
        let is_same = same == ours.len() && same == theirs.len();
        (!is_same).then(|| Difference {
            before: &ours[same.saturating_sub(3)..same],
            steps: [ours.get(same), theirs.get(same)],
        })
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps().iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// Where two runs part.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'t> {
    before: &'t [Step],
    steps: [Option<&'t Step>; 2],
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.before.iter().try_for_each(|step| writeln!(f, "  both  {step}"))?;
        for (name, step) in ["one", "other"].iter().zip(self.steps) {
            match step {
                Some(step) => writeln!(f, "{name:>6}  {step}")?,
                None => writeln!(f, "{name:>6}  has no more steps")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(lengths: &[u64]) -> Trace {
        let mut trace = Trace::default();
        trace.keep();
        for (at, len) in lengths.iter().enumerate() {
            trace.add(at as u64, "a", Act::Sends, [*len], || format!("{len} bytes"));
        }
        trace
    }

    #[test]
    fn two_traces_differ_in_the_first_step_that_is_not_the_same() {
        let (one, other) = (trace(&[1, 2, 3]), trace(&[1, 2, 4]));
        assert_ne!(one.hash(), other.hash());
        let difference = one.difference(&other).unwrap().to_string();
        assert!(difference.contains("one     0.000000002 a"), "{difference}");
        assert!(difference.contains("3 bytes") && difference.contains("4 bytes"));
        assert!(one.difference(&trace(&[1, 2, 3])).is_none());
        let shorter = trace(&[1, 2]);
        assert!(one.difference(&shorter).unwrap().to_string().contains("has no more steps"));
    }

    #[test]
    fn a_trace_has_a_hash_whether_or_not_its_steps_are_kept() {
        let mut unkept = Trace::default();
        unkept.add(0, "a", Act::Sends, [1], || unreachable!());
        assert_eq!(unkept.hash(), trace(&[1]).hash());
        assert_eq!((unkept.count(), unkept.steps().len()), (1, 0));
    }
}
