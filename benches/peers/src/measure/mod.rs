//! The measurements, one module per tool, and one function per part of the report.

mod callgrind;
mod cpu;
mod memory;
mod strace;

use std::ffi::OsString;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::case::Case;
use crate::child::{Amount, Pace};
use crate::harness::Harness;
use crate::results::Part;
use crate::servers::{BUFFER, Peer};
use crate::system::Cores;

pub use callgrind::measure as instructions;
pub use cpu::{measure_cpu as cpu, measure_rate as rate};
pub use memory::measure as memory;
pub use strace::measure as calls;

/// Two runs under a tool. What both have, to start and to end, cancels out in the difference.
struct Runs<T> {
    short: T,
    long: T,
    /// Messages (for churn: connections) by which the second is longer.
    difference: f64,
}

/// Runs `peer` under `watcher` twice. `read` is told the server's process id, and reads what
/// the tool has written about it.
///
/// The load comes in bursts. Without a pause, what was answered would be sent again before the
/// slow server looks, and system calls would be missing that it makes at its own pace.
fn run_twice<T>(
    harness: &Harness,
    peer: &Peer,
    case: Case,
    watcher: &[OsString],
    read: impl Fn(u32) -> Result<T>,
) -> Result<Runs<T>> {
    let cores = Cores::shared()?;
    let burst = case.connections * case.outstanding;
    let run = |count| {
        let server = harness.start(peer, cores, watcher, BUFFER)?;
        server.load(case, Amount { warm_up: burst, count, pace: Pace::Bursts }, cores.load)?;
        let pid = server.pid;
        server.finish()?;
        read(pid)
    };
    // At least 200 messages of difference: one stray call shows as 0.005.
    let bursts = if burst < 10 { 100 } else { 20 };
    let (short, long) = (burst * bursts, burst * bursts * 3);
    let difference = f64::from(long - short);
    Ok(Runs { short: run(short)?, long: run(long)?, difference })
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
