//! System calls per message, counted by strace.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

use super::Lengths;
use super::cpu::label;
use crate::case::{CHURN, Case};
use crate::harness::Harness;
use crate::results::{Calls, Part};
use crate::servers::{BUFFER, Peer};
use crate::system::Cores;

pub fn measure(harness: &mut Harness) -> Result<()> {
    if !super::has_tool(harness, Part::Calls, "strace") {
        return Ok(());
    }
    let echoes = [Case::echo(1, 64, 1), Case::echo(50, 64, 1), Case::echo(50, 64, 16)];
    let full = [echoes[0], echoes[1], echoes[2], CHURN];
    let cases = harness.cases(&full, &[echoes[0], CHURN]);
    harness.begin(Part::Calls, cases.len() * harness.peers.len());
    harness.results.calls.clear();
    for case in cases {
        for peer in harness.peers.clone() {
            harness.step(label(case, peer.name));
            match count(harness, peer, case) {
                Ok(calls) => {
                    let peer = peer.name.to_owned();
                    harness.results.calls.push(Calls { case, peer, calls });
                }
                Err(reason) => harness.skip(Part::Calls, peer.name, &reason.context(case.name())),
            }
        }
    }
    Ok(())
}

/// The calls per message, the most frequent first.
fn count(harness: &Harness, peer: &Peer, case: Case) -> Result<Vec<(String, f64)>> {
    let file = harness.tools.path().join("strace");
    let watcher = ["strace".into(), "-cf".into(), "-o".into(), file.clone().into_os_string()];
    let cores = Cores::shared()?;
    let run = |amount| {
        let server = harness.start(peer, cores, &watcher, BUFFER)?;
        server.load(case, amount, cores.load)?;
        server.finish()?;
        parse(&fs::read_to_string(&file)?)
    };
    let lengths = Lengths::of(case);
    Ok(per_message(&lengths, &run(lengths.short)?, &run(lengths.long)?))
}

fn per_message(
    lengths: &Lengths,
    short: &BTreeMap<String, u64>,
    long: &BTreeMap<String, u64>,
) -> Vec<(String, f64)> {
    let calls = long.iter().map(|(name, count)| {
        let less = short.get(name).copied().unwrap_or_default();
        (name.clone(), lengths.per_message(less, *count))
    });
    // What is rarer than one in a hundred messages belongs to the start or to chance.
    let mut calls: Vec<_> = calls.filter(|(_name, calls)| *calls >= 0.01).collect();
    calls.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    calls
}

/// Reads the table of `strace -c`: names and how often each was called.
fn parse(table: &str) -> Result<BTreeMap<String, u64>> {
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let calls: BTreeMap<_, _> = lines
        .filter_map(|words| {
            // % time, seconds, microseconds per call, calls, errors (or nothing), name.
            let _percent: f64 = words.first()?.parse().ok()?;
            let name = words.last().filter(|name| **name != "total")?;
            Some(((*name).to_owned(), words.get(3)?.parse().ok()?))
        })
        .collect();
    (!calls.is_empty()).then_some(calls).context("strace counted nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 54.69    0.039911           7      5052           write
 16.86    0.012302           2       607        50 accept4
  0.00    0.000000           0         1           brk
------ ----------- ----------- --------- --------- ----------------
100.00    0.072981           4      5660        50 total
";

    #[test]
    fn calls_are_read_with_and_without_errors_and_without_the_total() {
        let calls = parse(TABLE).expect("a table");
        let expected = [("accept4", 607), ("brk", 1), ("write", 5052)];
        assert!(calls.iter().map(|(name, count)| (name.as_str(), *count)).eq(expected));
        parse("strace: Process 1 attached\n").expect_err("no table");
    }

    #[test]
    fn what_both_runs_have_cancels_out() {
        let run =
            |write, brk| BTreeMap::from([("write".to_owned(), write), ("brk".to_owned(), brk)]);
        let lengths = Lengths::of(Case::echo(50, 64, 1));
        let calls = per_message(&lengths, &run(1_100, 600), &run(3_100, 601));
        assert_eq!(calls, [("write".to_owned(), 1.0)]);
    }
}
