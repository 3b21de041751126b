//! User instructions per message, counted by callgrind.

use std::ffi::OsString;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::Lengths;
use super::cpu::label;
use crate::case::{CHURN, Case};
use crate::harness::{Effort, Harness};
use crate::results::{Figure, Part};
use crate::servers::{BUFFER, Peer};
use crate::system::Cores;

pub fn measure(harness: &mut Harness) -> Result<()> {
    if !super::has_tool(harness, Part::Instructions, "valgrind") {
        return Ok(());
    }
    let full = [Case::echo(1, 64, 1), Case::echo(50, 64, 1), CHURN];
    let cases = harness.cases(&full, &full[1..2]);
    harness.begin(Part::Instructions, cases.len() * harness.peers.len());
    harness.results.instructions.clear();
    for case in cases {
        for peer in harness.peers.clone() {
            harness.step(label(case, peer.name));
            if harness.effort == Effort::Quick && peer.name.starts_with("python") {
                continue; // Its start alone takes callgrind seconds.
            }
            match count(harness, peer, case) {
                Ok(instructions) => harness.results.instructions.push(Figure {
                    case,
                    peer: peer.name.to_owned(),
                    samples: vec![instructions],
                }),
                Err(reason) => {
                    harness.skip(Part::Instructions, peer.name, &reason.context(case.name()));
                }
            }
        }
    }
    Ok(())
}

fn count(harness: &Harness, peer: &Peer, case: Case) -> Result<f64> {
    let folder = harness.tools.path();
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(folder.join("callgrind.%p"));
    // A foreign server is another program that this one becomes.
    let watcher =
        ["valgrind".into(), "--tool=callgrind".into(), "--trace-children=yes".into(), file];
    let cores = Cores::shared()?;
    let server = harness.start(peer, cores, &watcher, BUFFER)?;
    let mut dumps = 0;
    let mut run = |amount| {
        server.load(case, amount, cores.load)?;
        // What was counted since the last dump. Waiting for the server's end would not do:
        // under valgrind, a signal does not reach a process that waits in io_uring.
        dump(server.pid)?;
        dumps += 1;
        parse(&fs::read_to_string(folder.join(format!("callgrind.{}.{dumps}", server.pid)))?)
    };
    let lengths = Lengths::of(case);
    // The first has the start of the program, and what is done once, in it.
    run(lengths.short)?;
    let (short, long) = (run(lengths.short)?, run(lengths.long)?);
    Ok(lengths.per_message(short, long))
}

/// Has callgrind write down what it has counted, and count anew.
fn dump(pid: u32) -> Result<()> {
    let mut control = Command::new("callgrind_control");
    let output = control.args(["--dump", &pid.to_string()]).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "callgrind_control: {}", output.status);
    Ok(())
}

/// Reads the number of instructions in callgrind's output.
fn parse(profile: &str) -> Result<u64> {
    let mut lines = profile.lines();
    let total = lines.find_map(|line| line.strip_prefix("totals: "));
    total.context("callgrind wrote no totals")?.trim().parse().context("totals")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found_among_the_costs() {
        let profile = "# callgrind format\nevents: Ir\nfn=(1) main\n16 4\n\ntotals: 123456\n";
        assert_eq!(parse(profile).expect("a total"), 123_456);
        parse("events: Ir\n").expect_err("cut off");
    }
}
