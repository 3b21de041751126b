//! Memory per idle connection, in the server's own address space.

use std::fs;

use anyhow::{Context, Result};

use crate::case::IDLE;
use crate::harness::Harness;
use crate::results::{Memory, Part};
use crate::servers::{BUFFER, Peer};
use crate::system::Cores;

/// The buffer that shows what a runtime itself keeps for a connection.
const SMALL: usize = 64;

pub fn measure(harness: &mut Harness) -> Result<()> {
    let rounds = harness.rounds(3, 1);
    harness.begin(Part::Memory, 2 * rounds as usize * harness.peers.len());
    harness.results.memory.clear();
    for peer in harness.peers.clone() {
        let samples = |buffer| -> Result<Vec<f64>> {
            (0..rounds).map(|_| bytes_per_connection(harness, peer, buffer)).collect()
        };
        match samples(BUFFER).and_then(|large| Ok((large, samples(SMALL)?))) {
            Ok((large, small)) => {
                let peer = peer.name.to_owned();
                harness.results.memory.push(Memory { peer, large, small });
            }
            Err(reason) => harness.skip(Part::Memory, peer.name, &reason),
        }
    }
    Ok(())
}

fn bytes_per_connection(harness: &Harness, peer: &Peer, buffer: usize) -> Result<f64> {
    harness.step(peer.name);
    let cores = Cores::shared()?;
    let server = harness.start(peer, cores, &[], buffer)?;
    // The first connection brings what all share.
    let _one = server.hold(1, cores.load)?;
    let before = anonymous_bytes(server.pid)?;
    let _many = server.hold(IDLE.connections, cores.load)?;
    let after = anonymous_bytes(server.pid)?;
    Ok((after as f64 - before as f64) / f64::from(IDLE.connections))
}

/// The anonymous part of the proportional set size: stacks and heaps. The rest is the program's
/// file, which is divided by those who have it open just now.
fn anonymous_bytes(pid: u32) -> Result<u64> {
    parse(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?)
}

fn parse(rollup: &str) -> Result<u64> {
    let size = rollup.lines().find_map(|line| line.strip_prefix("Pss_Anon:"));
    let kib = size.context("no Pss_Anon in smaps_rollup")?.trim().trim_end_matches(" kB");
    Ok(kib.parse::<u64>().context("Pss_Anon")? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_size_is_read_in_bytes() {
        let rollup =
            "55d0-7ffc ---p 0 00:00 0 [rollup]\nRss:  10 kB\nPss: 9 kB\nPss_Anon:   7 kB\n";
        assert_eq!(parse(rollup).expect("it is there"), 7 * 1024);
        parse("Rss: 10 kB\n").expect_err("it is not");
    }
}
