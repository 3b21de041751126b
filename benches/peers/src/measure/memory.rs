//! Memory per idle connection, in the server's own address space.

use std::fs;

use anyhow::{Context, Result};

use crate::case::Case;
use crate::harness::Harness;
use crate::results::{Figure, Part};
use crate::servers::Peer;
use crate::system::Cores;

/// Connections that are held: enough for what a server keeps beside them not to matter.
const CONNECTIONS: u32 = 1_000;

pub fn measure(harness: &mut Harness) -> Result<()> {
    let rounds = harness.rounds(3, 1);
    harness.begin(Part::Memory, rounds as usize * harness.peers.len());
    let case = Case::echo(CONNECTIONS, 64, 1);
    harness.results.memory.clear();
    for peer in harness.peers.clone() {
        let samples: Result<Vec<f64>> = (0..rounds)
            .map(|_| {
                harness.step(peer.name);
                bytes_per_connection(harness, peer)
            })
            .collect();
        match samples {
            Ok(samples) => {
                let peer = peer.name.to_owned();
                harness.results.memory.push(Figure { case, peer, samples });
            }
            Err(reason) => harness.skip(Part::Memory, peer.name, &reason),
        }
    }
    Ok(())
}

fn bytes_per_connection(harness: &Harness, peer: &Peer) -> Result<f64> {
    let cores = Cores::shared()?;
    let server = harness.start(peer, cores, &[])?;
    // The first connection brings what all share.
    let _one = server.hold(1, cores.load)?;
    let before = proportional_bytes(server.pid)?;
    let _many = server.hold(CONNECTIONS, cores.load)?;
    let after = proportional_bytes(server.pid)?;
    Ok((after as f64 - before as f64) / f64::from(CONNECTIONS))
}

/// The proportional set size: resident memory, with what is shared divided by those who do.
fn proportional_bytes(pid: u32) -> Result<u64> {
    parse(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?)
}

fn parse(rollup: &str) -> Result<u64> {
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = pss.context("no Pss in smaps_rollup")?.trim().trim_end_matches(" kB");
    Ok(kib.parse::<u64>().context("Pss")? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_size_is_read_in_bytes() {
        let rollup =
            "55d0-7ffc ---p 0 00:00 0 [rollup]\nRss:  10 kB\nPss:   7 kB\nPss_Anon: 1 kB\n";
        assert_eq!(parse(rollup).expect("it is there"), 7 * 1024);
        parse("Rss: 10 kB\n").expect_err("it is not");
    }
}
