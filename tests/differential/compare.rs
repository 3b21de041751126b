//! What each back end owes, told from poll(2) alone, and how reports are held against that and
//! against each other. The header of the test says the same in prose.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rustix::event::PollFlags;
use selkie::selector::BackendKind;
use selkie::{Interest, Mode, Readiness};

/// A handle's name, the same in all worlds.
pub type Id = usize;

/// What one select reported.
pub type Report = BTreeMap<Id, Readiness>;

/// What one round of selecting came to.
pub struct Round {
    pub expected: BTreeMap<Id, Expected>,
    pub report: Report,
    /// The handles whose reports can be held against those of other back ends.
    pub watched: BTreeMap<Id, Watched>,
}

/// How a back end watches a handle before a select, and what poll(2) says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    pub interest: Interest,
    pub mode: Mode,
    pub armed: bool,
    pub seen: PollFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// With just this.
    Must(Readiness),
    /// With this or not at all: an edge that was reported before.
    May(Readiness),
    /// The descriptor was replaced behind the selector's back: nothing is promised.
    Anything,
}

/// The readiness that `kind` promises for an interest in a descriptor of which poll(2) says
/// `seen`. Written without a look at how the crate does it.
pub fn promised(kind: BackendKind, interest: Interest, seen: PollFlags) -> Readiness {
    let any = |flags| seen.intersects(flags);
    let (hang_up, error) = (any(PollFlags::HUP), any(PollFlags::ERR));
    let half_closed = any(PollFlags::RDHUP) && interest.contains(Interest::READ);
    let writable = match kind {
        BackendKind::Select => any(PollFlags::OUT | PollFlags::ERR),
        _ => any(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP),
    };
    let readable = any(PollFlags::IN | PollFlags::RDHUP | PollFlags::ERR | PollFlags::HUP);
    let [read_closed, write_closed, failed] = match kind {
        BackendKind::Select => [false; 3],
        _ if kind.name() == "polling" => [hang_up, hang_up, error],
        _ => [hang_up || half_closed, hang_up, error],
    };
    [
        (Readiness::READ, readable && interest.contains(Interest::READ)),
        (Readiness::WRITE, writable && interest.contains(Interest::WRITE)),
        (Readiness::PRIORITY, any(PollFlags::PRI) && interest.contains(Interest::PRIORITY)),
        (Readiness::READ_CLOSED, read_closed),
        (Readiness::WRITE_CLOSED, write_closed),
        (Readiness::ERROR, failed),
    ]
    .into_iter()
    .filter_map(|(bit, is_set)| is_set.then_some(bit))
    .collect()
}

/// Holds a report against the oracle.
pub fn check(
    kind: BackendKind,
    expected: &BTreeMap<Id, Expected>,
    report: &Report,
) -> Result<(), TestCaseError> {
    for (id, readiness) in report {
        let right = match expected.get(id) {
            Some(Expected::Must(owed) | Expected::May(owed)) => owed == readiness,
            Some(Expected::Anything) => true,
            None => false,
        };
        prop_assert!(
            right,
            "{kind}: handle {id} reported {readiness:?}, expected {:?}",
            expected.get(id)
        );
    }
    for (id, expected) in expected {
        let lost = matches!(expected, Expected::Must(_)) && !report.contains_key(id);
        prop_assert!(!lost, "{kind}: handle {id} not reported, expected {expected:?}");
    }
    Ok(())
}

/// Holds the reports of all back ends against each other, handle by handle, where they watch it
/// in the same way.
pub fn agree(rounds: &[(BackendKind, Round)]) -> Result<(), TestCaseError> {
    for pair in rounds.windows(2) {
        let [(kind, round), (other_kind, other)] = pair else { continue };
        for (id, watched) in &round.watched {
            if other.watched.get(id) != Some(watched) {
                continue;
            }
            let both = [round, other].map(|round| round.report.get(id).copied());
            let [one, two] = both.map(|seen| shared_bits([*kind, *other_kind], seen, watched.seen));
            prop_assert_eq!(one, two, "handle {}: {} and {} disagree", id, kind, other_kind);
        }
    }
    Ok(())
}

/// Of a readiness, what both of two back ends can say.
fn shared_bits(
    kinds: [BackendKind; 2],
    readiness: Option<Readiness>,
    seen: PollFlags,
) -> Readiness {
    let mut bits = readiness.unwrap_or(Readiness::empty());
    if kinds.contains(&BackendKind::Select) {
        bits &= Readiness::READ | Readiness::WRITE | Readiness::PRIORITY;
        if !seen.intersects(PollFlags::OUT | PollFlags::ERR) {
            bits -= Readiness::WRITE;
        }
    }
    if kinds.iter().any(|kind| kind.name() == "polling") && !bits.contains(Readiness::WRITE_CLOSED)
    {
        bits -= Readiness::READ_CLOSED;
    }
    bits
}
