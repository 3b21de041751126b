//! Looking things up in the results: what both text and charts show.

use crate::case::Case;
use crate::results::{Calls, Run};
use crate::servers::{PEERS, REFERENCE};
use crate::stats::Spread;

pub const CHURN_CHART: &str = "churn";
pub const MEMORY_CHART: &str = "memory";

/// The name of the CPU chart of a shape.
pub fn cpu_chart((bytes, outstanding): (u32, u32)) -> String {
    match outstanding {
        1 => format!("cpu-{bytes}"),
        _ => format!("cpu-{bytes}p{outstanding}"),
    }
}

/// Each once, in the order of their first appearance.
pub fn distinct<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for item in items {
        if !distinct.contains(&item) {
            distinct.push(item);
        }
    }
    distinct
}

pub fn cases(cases: impl IntoIterator<Item = Case>) -> Vec<Case> {
    distinct(cases)
}

/// The peers among `names`, in the order of the reports.
pub fn peers<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'static str> {
    let names: Vec<&str> = names.into_iter().collect();
    PEERS.iter().map(|peer| peer.name).filter(|name| names.contains(name)).collect()
}

pub fn run<'a>(runs: &'a [Run], case: Case, peer: &str) -> Option<&'a Run> {
    runs.iter().find(|run| run.case == case && run.peer == peer)
}

/// The CPU ratio of `run`, relative to the reference's in the same round.
pub fn relative_cpu(runs: &[Run], run: &Run) -> Option<Spread> {
    let ratios = |run: &Run| run.outcomes.iter().map(|o| o.cpu_ratio()).collect::<Vec<_>>();
    let reference = self::run(runs, run.case, REFERENCE)?;
    Spread::of_ratios(&ratios(run), &ratios(reference))
}

/// System calls per message, all together.
pub fn total(calls: &Calls) -> f64 {
    calls.calls.iter().map(|(_name, count)| count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Outcome;

    fn outcome(server_cpu_ns: u64, load_cpu_ns: u64) -> Outcome {
        let (elapsed_ns, p50_ns, p99_ns, p999_ns) = (0, 0, 0, 0);
        Outcome { count: 1, elapsed_ns, server_cpu_ns, load_cpu_ns, p50_ns, p99_ns, p999_ns }
    }

    #[test]
    fn a_peer_is_compared_with_the_reference_of_its_case() {
        let run = |peer: &str, connections, outcomes| {
            let case = Case::echo(connections, 64, 1);
            Run { case, peer: peer.to_owned(), outcomes }
        };
        let runs = [
            run(REFERENCE, 50, vec![outcome(500, 10)]),
            run(REFERENCE, 1, vec![outcome(10, 10), outcome(40, 20)]),
            run("tokio", 1, vec![outcome(20, 10), outcome(50, 20)]),
        ];
        let relative = relative_cpu(&runs, &runs[2]).expect("both are there");
        assert_eq!((relative.min, relative.max), (1.25, 2.0));
        assert!(relative_cpu(&runs[..1], &runs[2]).is_none());
    }

    #[test]
    fn peers_have_the_order_of_the_reports() {
        assert_eq!(peers(["tokio", "mio", "tokio"]), ["mio", "tokio"]);
    }
}
