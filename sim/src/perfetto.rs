//! A trace in Chrome's JSON for traces, see "Trace Event Format" (Google, 2016): what Perfetto and
//! Chrome open. Invariant: a track for each host, and the simulation's times.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write};

use serde_json::{Value, json};

use crate::trace::{Act, Step, Trace};

impl Trace {
    /// Writes the steps, if they were [kept](crate::Sim::keep_trace), as a trace that Perfetto
    /// (<https://ui.perfetto.dev>) and Chrome (`chrome://tracing`) open, in Chrome's JSON: a track
    /// for each host, with a bar from each start to the end of that run, and a mark for each step.
    ///
    /// # Errors
    /// As `out` has them.
    pub fn write_trace(&self, mut out: impl Write) -> io::Result<()> {
        let mut tracks = BTreeMap::new();
        let mut events = Vec::new();
        for step in self.steps() {
            let next = tracks.len() + 1;
            let track = *tracks.entry(step.host()).or_insert(next);
            events.push(event(step, track));
        }
        let names = tracks.iter().map(|(host, track)| {
            let args = json!({ "name": host });
            json!({ "ph": "M", "pid": 1, "tid": track, "name": "thread_name", "args": args })
        });
        let events: Vec<_> = names.chain(events).collect();
        let trace = json!({ "displayTimeUnit": "ns", "traceEvents": events });
        serde_json::to_writer(&mut out, &trace)?;
        writeln!(out)
    }
}

/// Writes a trace to a file: for Perfetto if its name ends in `.json`, else as text.
pub(crate) fn save(trace: &Trace, file: &str) -> io::Result<()> {
    if file.ends_with(".json") {
        return trace.write_trace(BufWriter::new(fs::File::create(file)?));
    }
    fs::write(file, trace.to_string())
}

fn event(step: &Step, track: usize) -> Value {
    // Microseconds, as the format has them.
    let time = step.at().as_nanos() as f64 / 1000.0;
    let (kind, name) = match step.act() {
        Act::Starts => ("B", "runs".to_owned()),
        Act::Ends => ("E", "runs".to_owned()),
        act => ("i", act.name()),
    };
    // A mark is as high as its track.
    json!({ "ph": kind, "pid": 1, "tid": track, "ts": time, "name": name, "s": "t",
            "args": { "detail": step.detail(), "hash": format!("{:08x}", step.hash() as u32) } })
}
