//! The measurements, one module per tool, and one function per part of the report.

mod callgrind;
mod cpu;
mod memory;
mod strace;

use std::ffi::OsString;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::case::Case;
use crate::harness::Harness;
use crate::results::Part;
use crate::servers::Peer;
use crate::system::Cores;

pub use callgrind::measure as instructions;
pub use cpu::{measure_cpu as cpu, measure_rate as rate};
pub use memory::measure as memory;
pub use strace::measure as calls;

/// The lengths of the two runs under a slow tool, in messages. What both have, to start and to
/// end, cancels out in the difference.
const LENGTHS: [u32; 2] = [1_000, 3_000];

/// Runs `peer` under a tool twice, and returns what `read` made of the tool's output each time.
///
/// `watch` gives the tool's command line, `read` is told the server's process id.
fn run_twice<T>(
    harness: &Harness,
    peer: &Peer,
    case: Case,
    watcher: &[OsString],
    read: impl Fn(u32) -> Result<T>,
) -> Result<[T; 2]> {
    let cores = Cores::shared()?;
    let run = |count| {
        let server = harness.start(peer, cores, watcher)?;
        server.load(case, case.connections, count, cores.load)?;
        let pid = server.pid;
        server.finish()?;
        read(pid)
    };
    let [short, long] = LENGTHS;
    Ok([run(short)?, run(long)?])
}

/// Messages by which the second run is longer.
fn difference() -> f64 {
    f64::from(LENGTHS[1] - LENGTHS[0])
}

/// Leaves the part out, with the reason, if its tool is not there.
fn has_tool(harness: &mut Harness, part: Part, tool: &str) -> bool {
    let asked = Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("{tool} is not installed"));
    match asked {
        Ok(_status) => true,
        Err(reason) => {
            harness.skip(part, "every peer", &reason);
            false
        }
    }
}
