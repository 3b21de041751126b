//! What every part of the measurements needs: the peers that run here, a folder for what they
//! need, a progress bar, and the results so far.

use std::ffi::OsString;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;

use crate::case::Case;
use crate::child::{Amount, Pace, Server};
use crate::load::Outcome;
use crate::results::{Part, Results};
use crate::servers::{BUFFER, Peer};
use crate::system::Cores;

/// Enough to see whether a peer runs.
const PROBE: Amount = Amount { warm_up: 1, count: 100, pace: Pace::Closed };

/// How thoroughly to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// For two minutes in all: noisy, but it shows what is broken.
    Quick,
    Full,
}

pub struct Harness {
    pub effort: Effort,
    /// Rounds of the repeated measurements, if somebody chose.
    pub rounds: Option<u32>,
    /// The cases that somebody chose; else each part has its own.
    pub cases: Option<Vec<Case>>,
    pub peers: Vec<&'static Peer>,
    pub tools: TempDir,
    pub bar: ProgressBar,
    pub results: Results,
}

impl Harness {
    /// The cases of a part that has `full` and `quick` ones of its own.
    pub fn cases(&self, full: &[Case], quick: &[Case]) -> Vec<Case> {
        match (&self.cases, self.effort) {
            (Some(chosen), _) => chosen.clone(),
            (None, Effort::Quick) => quick.to_vec(),
            (None, Effort::Full) => full.to_vec(),
        }
    }

    pub fn rounds(&self, full: u32, quick: u32) -> u32 {
        self.rounds.unwrap_or(match self.effort {
            Effort::Quick => quick,
            Effort::Full => full,
        })
    }

    /// Takes out the peers that do not run here, and notes why.
    pub fn probe(&mut self) -> Result<()> {
        let cores = Cores::shared()?;
        self.results.skipped.retain(|skipped| skipped.part.is_some());
        for peer in std::mem::take(&mut self.peers) {
            self.bar.set_message(format!("{}: does it run?", peer.name));
            let probe = peer
                .prepare(self.tools.path())
                .and_then(|()| self.run(peer, cores, Case::echo(1, 64, 1), PROBE));
            match probe {
                Ok(_outcome) => self.peers.push(peer),
                Err(reason) => {
                    self.bar.suspend(|| eprintln!("{} is left out: {reason:#}", peer.name));
                    self.results.skip(None, peer.name, &reason);
                }
            }
        }
        Ok(())
    }

    /// Notes that `peer` has no figure in `part`.
    pub fn skip(&mut self, part: Part, peer: &str, reason: &anyhow::Error) {
        self.bar.suspend(|| eprintln!("{peer} is left out of {}: {reason:#}", part.name()));
        self.results.skip(Some(part), peer, reason);
    }

    /// Starts a server, loads it once and ends it.
    pub fn run(&self, peer: &Peer, cores: Cores, case: Case, amount: Amount) -> Result<Outcome> {
        let server = self.start(peer, cores, &[], BUFFER)?;
        server.load(case, amount, cores.load).context("load")
    }

    pub fn start(
        &self,
        peer: &Peer,
        cores: Cores,
        watcher: &[OsString],
        task_buffer: usize,
    ) -> Result<Server> {
        let tools = self.tools.path();
        Server::start(peer, tools, cores.server, watcher, task_buffer).context("server")
    }

    /// Starts a bar for a part of so many steps.
    pub fn begin(&mut self, part: Part, steps: usize) {
        self.bar.set_length(steps as u64);
        self.bar.reset();
        self.bar.set_prefix(part.name());
    }

    pub fn step(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
        self.bar.inc(1);
    }
}

/// A bar that is drawn when it is moved and never by itself, so that it takes no time of what
/// is measured.
pub fn bar() -> Result<ProgressBar> {
    let style = "{prefix:>12} [{bar:30}] {pos}/{len} {eta:>4} {msg}";
    Ok(ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?.progress_chars("=> ")))
}
