//! Processor time per message, on one core for both sides; and messages per second, with a core
//! each. In both, rounds of all peers take turns, so that a slow spell meets all of them.

use std::fmt::Display;

use anyhow::Result;

use crate::case::{CHURN, Case};
use crate::child::{Amount, Pace};
use crate::harness::{Effort, Harness};
use crate::results::{Part, Run};
use crate::system::Cores;

/// With `--quick`, runs are shorter by this factor.
const QUICK: u32 = 5;

pub fn measure_cpu(harness: &mut Harness) -> Result<()> {
    let rounds = harness.rounds(9, 3);
    harness.results.cpu = take_turns(harness, Part::Cpu, Cores::shared()?, rounds);
    Ok(())
}

pub fn measure_rate(harness: &mut Harness) -> Result<()> {
    let rounds = harness.rounds(5, 1);
    match Cores::separate() {
        Ok(cores) => harness.results.rate = take_turns(harness, Part::Rate, cores, rounds),
        Err(reason) => harness.skip(Part::Rate, "every peer", &reason),
    }
    Ok(())
}

fn take_turns(harness: &mut Harness, part: Part, cores: Cores, rounds: u32) -> Vec<Run> {
    let quick = [
        Case::echo(1, 64, 1),
        Case::echo(50, 64, 1),
        Case::echo(1000, 64, 1),
        Case::echo(50, 16 * 1024, 1),
        Case::echo(50, 64, 16),
        CHURN,
    ];
    let cases = harness.cases(&Case::counted(), &quick);
    harness.begin(part, cases.len() * rounds as usize * harness.peers.len());
    cases.into_iter().flat_map(|case| runs(harness, part, cores, rounds, case)).collect()
}

/// All rounds of a case. A peer that fails in one is left out of the case.
fn runs(harness: &mut Harness, part: Part, cores: Cores, rounds: u32, case: Case) -> Vec<Run> {
    let divisor = if harness.effort == Effort::Quick { QUICK } else { 1 };
    let count = case.count() / divisor;
    let warm_up = case.connections.max(count / 10);
    let amount = Amount { warm_up, count, pace: Pace::Closed };
    let run = |peer: &str| Run { case, peer: peer.to_owned(), outcomes: Vec::new() };
    let mut peers: Vec<_> = harness.peers.iter().map(|peer| (*peer, run(peer.name))).collect();
    for _ in 0..rounds {
        peers.retain_mut(|(peer, run)| {
            harness.step(label(case, peer.name));
            match harness.run(peer, cores, case, amount) {
                Ok(outcome) => run.outcomes.push(outcome),
                Err(reason) => {
                    let reason = reason.context(case.name());
                    harness.skip(part, peer.name, &reason);
                    return false;
                }
            }
            true
        });
    }
    peers.into_iter().map(|(_peer, run)| run).collect()
}

/// What the progress bar says.
pub fn label(case: Case, peer: impl Display) -> String {
    format!("{} {peer}", case.name())
}
