//! Where something was measured: what a reader has to know to compare it with another machine.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

use crate::servers;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    pub processor: String,
    pub cores: usize,
    pub kernel: String,
    pub rustc: String,
    /// The revision of this repository.
    pub revision: String,
    /// Names and versions of the peers.
    pub versions: Vec<String>,
}

impl Environment {
    /// Looks around; `tools` has what foreign servers need.
    pub fn look(tools: &Path) -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let mut versions = crate_versions();
        versions.extend(servers::foreign_versions(tools));
        Ok(Self {
            processor: processor(&cpuinfo),
            cores: thread::available_parallelism()?.get(),
            kernel: kernel(&fs::read_to_string("/proc/sys/kernel/osrelease")?),
            rustc: first_line("rustc", &["--version"]),
            revision: revision(),
            versions,
        })
    }
}

/// The commit, and whether something but the results differs from it: a run writes those.
fn revision() -> String {
    let commit = first_line("git", &["describe", "--always"]);
    let others =
        ["status", "--porcelain", "--", ":/", ":!/benches/RESULTS.md", ":!/benches/charts"];
    match said("git", &others) {
        changed if changed.is_empty() => commit,
        _ => format!("{commit}-dirty"),
    }
}

/// The model, and whether it is a guest of another machine.
fn processor(cpuinfo: &str) -> String {
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim())
    };
    let model = field("model name").unwrap_or("unknown");
    let is_guest = field("flags").is_some_and(|flags| flags.split(' ').any(|f| f == "hypervisor"));
    if is_guest { format!("{model} (virtual machine)") } else { model.to_owned() }
}

/// The release without what its builder added.
fn kernel(release: &str) -> String {
    format!("Linux {}", release.split(['-', '+', '\n']).next().unwrap_or_default())
}

/// The crates that this one depends on, as cargo resolved them.
fn crate_versions() -> Vec<String> {
    let arguments =
        ["tree", "--package", "peers", "--depth", "1", "--edges", "normal", "--prefix", "none"];
    // "name v1.2.3 (where from)"; the first is this crate.
    said("cargo", &arguments)
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some(format!("{} {}", words.next()?, words.next()?.trim_start_matches('v')))
        })
        .filter(|line| servers::CRATES.contains(&line.split(' ').next().unwrap_or_default()))
        .collect()
}

/// What a command says first; "unknown" if it cannot be asked.
fn first_line(program: &str, arguments: &[&str]) -> String {
    said(program, arguments).lines().next().unwrap_or("unknown").to_owned()
}

/// What a command says; nothing if it cannot be asked.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = in_this_crate(program).args(arguments).output();
    let said = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).into_owned()
}

fn in_this_crate(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Who else used the processors during a measurement, in thousandths of their time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noise {
    /// The host, for other machines.
    pub stolen_permille: u64,
    /// Other processes.
    pub others_permille: u64,
}

/// What the processors' time since the machine started went into, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessorTime {
    total: u64,
    idle: u64,
    stolen: u64,
    /// This process, and its children that have ended.
    own: u64,
}

impl ProcessorTime {
    pub fn now() -> Result<Self> {
        let own = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN].map(|who| -> Result<i64> {
            let usage = getrusage(who)?;
            Ok(usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds())
        });
        let [this, children] = own;
        // A tick is 10 ms for whoever reads /proc.
        let own = (this? + children?).cast_unsigned() / 10;
        Ok(Self { own, ..Self::parse(&fs::read_to_string("/proc/stat")?) })
    }

    /// As proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal; the two after
    /// them are parts of the first two.
    fn parse(stat: &str) -> Self {
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).take(8).filter_map(|n| n.parse().ok()).collect();
        let tick = |index: usize| ticks.get(index).copied().unwrap_or_default();
        let (idle, stolen) = (tick(3) + tick(4), tick(7));
        Self { total: ticks.iter().sum(), idle, stolen, own: 0 }
    }

    pub fn noise_since(self, before: Self) -> Noise {
        let total = (self.total - before.total).max(1);
        let stolen = self.stolen - before.stolen;
        let idle_or_own = (self.idle - before.idle) + (self.own - before.own);
        Noise {
            stolen_permille: stolen * 1000 / total,
            others_permille: total.saturating_sub(stolen + idle_or_own) * 1000 / total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_told_from_a_host() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Z 80\nflags\t\t: fpu hypervisor sse\n";
        assert_eq!(processor(cpuinfo), "Z 80 (virtual machine)");
        assert_eq!(processor(&cpuinfo.replace("hypervisor ", "")), "Z 80");
    }

    #[test]
    fn a_kernel_is_named_by_its_release_alone() {
        assert_eq!(kernel("6.18.44-generic+2\n"), "Linux 6.18.44");
    }

    #[test]
    fn noise_is_what_is_neither_idle_nor_our_own() {
        let before = ProcessorTime::parse("cpu  10 0 10 60 10 0 0 10 0 0\ncpu0 1 2 3\n");
        let after = ProcessorTime::parse("cpu  30 0 20 90 20 5 5 30 9 9\n");
        assert_eq!((before.total, before.idle, before.stolen), (100, 70, 10));
        let noise = ProcessorTime { own: 25, ..after }.noise_since(before);
        assert_eq!(noise, Noise { stolen_permille: 200, others_permille: 150 });
    }
}
