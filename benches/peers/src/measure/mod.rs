//! The measurements, one module per tool, and one function per part of the report.

mod callgrind;
mod cpu;
mod memory;
mod strace;

use std::process::{Command, Stdio};

use anyhow::Context;

use crate::case::Case;
use crate::child::{Amount, Pace};
use crate::harness::Harness;
use crate::results::Part;

pub use callgrind::measure as instructions;
pub use cpu::{measure_cpu as cpu, measure_rate as rate};
pub use memory::measure as memory;
pub use strace::measure as calls;

/// Two loads of a server under a tool. What both have, to start and to end, cancels out in the
/// difference.
struct Lengths {
    short: Amount,
    long: Amount,
}

impl Lengths {
    /// For `case`, in bursts: without a pause, what was answered would be sent again before the
    /// slow server looks, and calls would be missing that it makes at its own pace.
    fn of(case: Case) -> Self {
        let burst = case.connections * case.outstanding;
        // At least 200 messages of difference: one stray call shows as 0.005.
        let bursts = if burst < 10 { 100 } else { 20 };
        let amount = |bursts| Amount { warm_up: burst, count: burst * bursts, pace: Pace::Bursts };
        Self { short: amount(bursts), long: amount(3 * bursts) }
    }

    /// What `long - short` is per message (for churn: connection).
    fn per_message(&self, short: u64, long: u64) -> f64 {
        (long as f64 - short as f64) / f64::from(self.long.count - self.short.count)
    }
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
