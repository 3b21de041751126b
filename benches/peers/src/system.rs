//! What the harness asks of the system: a core to itself, a scheduling policy, many
//! descriptors, an end with its parent, and the processor time of a process.

use std::io;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores that a measurement runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    pub server: usize,
    pub load: usize,
}

impl Cores {
    /// Server and load generator on one core, the last: the first serves most interrupts.
    pub fn shared() -> Result<Self> {
        let last = *allowed()?.last().context("no core is allowed to this process")?;
        Ok(Self { server: last, load: last })
    }

    /// A core each.
    pub fn separate() -> Result<Self> {
        match allowed()?[..] {
            [.., load, server] => Ok(Self { server, load }),
            _ => anyhow::bail!("needs two cores"),
        }
    }
}

fn allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Makes this process, and all that it will start, fit for a measurement, on `core` if there is one.
///
/// It ends when its parent ends. Its threads run under `SCHED_BATCH`, so that a wake-up does
/// not preempt who is running: both sides work off what has piled up, and then wait.
pub fn settle(core: Option<usize>) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if let Some(core) = core {
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(None, &set).with_context(|| format!("core {core}"))?;
    }
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer has to be to a `sched_param`, and is to the one above; 0 is this
    // process.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
    if result != 0 {
        return Err(io::Error::last_os_error()).context("SCHED_BATCH");
    }
    Ok(())
}

/// The processor time of a process, all its threads together, those that have ended included.
#[derive(Clone, Copy, Debug)]
pub struct CpuClock(ClockId);

impl CpuClock {
    pub fn of(pid: u32) -> Result<Self> {
        let pid = Pid::from_raw(pid.cast_signed());
        Ok(Self(clock_getcpuclockid(pid).with_context(|| format!("process {pid}"))?))
    }

    pub fn now(self) -> Result<Duration> {
        Ok(self.0.now()?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_a_process_counts_its_work_and_ends_with_it() {
        let clock = CpuClock::of(std::process::id()).expect("this process has one");
        let start = clock.now().expect("a time");
        let mut now = start;
        while now - start < Duration::from_millis(5) {
            now = clock.now().expect("a time");
        }
        let mut child = std::process::Command::new("true").spawn().expect("it starts");
        child.wait().expect("it ends");
        let time = CpuClock::of(child.id()).and_then(CpuClock::now);
        time.expect_err("who has ended has no clock");
    }
}
