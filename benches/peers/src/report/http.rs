//! The tables of the HTTP servers.

use std::fmt::Write;

use super::markdown::{Table, digits, ratio};
use super::sections;
use crate::results::{Part, Results};
use crate::stats::Spread;

/// The part on HTTP; nothing if it was not measured.
pub fn section(results: &Results) -> String {
    let Some(mut text) = sections::heading(
        results,
        Part::Http,
        "HTTP requests",
        "The same handler behind hyper, HTTP/1 with keep-alive and a timeout for heads, under `wrk` \
         with one thread, server and load on a core each. Requests per second of the server's \
         processor time, and that relative to the first row (range): more is better. Rounds of all \
         take turns, each with a new server.",
    ) else {
        return String::new();
    };
    text += &tables(results);
    text
}

/// A table for each number of connections.
fn tables(results: &Results) -> String {
    let mut text = String::new();
    let mut connections: Vec<u32> = results.http.iter().map(|http| http.connections).collect();
    connections.dedup();
    for connections in connections {
        let of: Vec<_> =
            results.http.iter().filter(|http| http.connections == connections).collect();
        let mut table = Table::new(["", "per CPU second", "relative", "per second"]);
        for http in &of {
            let median = |samples: &[f64]| {
                Spread::of(samples.iter().copied()).map(|s| digits(s.median)).unwrap_or_default()
            };
            let relative = Spread::of_ratios(&http.per_cpu_second, &of[0].per_cpu_second);
            table.row([
                http.server.clone(),
                median(&http.per_cpu_second),
                relative.map(ratio).unwrap_or_default(),
                median(&http.per_second),
            ]);
        }
        let _ = write!(text, "### {connections} connections\n\n{}", table.finish());
    }
    text
}
