//! One run of the harness: the chosen parts one after another, and the report after each, so
//! that nothing is lost if a later one fails.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;

use crate::case::{Case, IDLE};
use crate::cli::Matrix;
use crate::environment::{Environment, ProcessorTime};
use crate::harness::{self, Effort, Harness};
use crate::results::{Part, Results};
use crate::servers::{PEERS, REFERENCE};
use crate::{footprint, http, measure, micro, report};

/// `benches/` of this repository.
pub fn default_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

pub fn run(matrix: &Matrix) -> Result<()> {
    let folder = matrix.out.clone().unwrap_or_else(default_folder);
    let mut harness = Harness {
        effort: if matrix.quick { Effort::Quick } else { Effort::Full },
        rounds: matrix.rounds,
        cases: matrix.counted_cases(),
        peers: PEERS.iter().filter(|peer| matrix.chooses(peer.name)).collect(),
        tools: tempfile::tempdir()?,
        bar: harness::bar()?,
        results: if matrix.keep { Results::load(&folder)? } else { Results::default() },
    };
    let parts = matrix.parts();
    if parts.iter().any(|part| !matches!(part, Part::Micro | Part::Http | Part::Build)) {
        harness.probe()?;
    }
    for part in parts {
        let environment = Environment::look(harness.tools.path())?;
        harness.results.begin(part, environment, &matrix.arguments(part));
        measure_part(&mut harness, part)?;
        harness.results.save(&folder)?;
        report::write(&harness.results, &folder)?;
    }
    harness.bar.finish_and_clear();
    if let [part] = matrix.parts()[..] {
        println!("{}", report::section(&harness.results, part));
    }
    eprintln!("{}", folder.join(report::FILE).display());
    Ok(())
}

fn measure_part(harness: &mut Harness, part: Part) -> Result<()> {
    let before = ProcessorTime::now()?;
    match part {
        Part::Cpu => measure::cpu(harness)?,
        Part::Rate => measure::rate(harness)?,
        Part::Calls => measure::calls(harness)?,
        Part::Instructions => measure::instructions(harness)?,
        Part::Memory => measure::memory(harness)?,
        Part::Micro => micro::measure(harness)?,
        Part::Http => http::measure(harness)?,
        Part::Build => footprint::measure(harness)?,
    }
    harness.results.set_noise(part, ProcessorTime::now()?.noise_since(before));
    Ok(())
}

impl Matrix {
    fn chooses(&self, peer: &str) -> bool {
        self.only.is_empty() || peer == REFERENCE || self.only.iter().any(|p| p.name == peer)
    }

    /// The cases that were chosen for the parts that count messages.
    fn counted_cases(&self) -> Option<Vec<Case>> {
        let counted = self.case.iter().copied().filter(|case| *case != IDLE);
        (!self.case.is_empty()).then(|| counted.collect())
    }

    fn parts(&self) -> Vec<Part> {
        if !self.part.is_empty() {
            return self.part.clone();
        }
        let is_chosen = |part: &Part| match part {
            _ if self.case.is_empty() => *part != Part::Build || !self.quick,
            Part::Cpu | Part::Rate | Part::Calls | Part::Instructions => {
                self.case.iter().any(|case| *case != IDLE)
            }
            Part::Memory => self.case.contains(&IDLE),
            Part::Micro | Part::Http | Part::Build => false,
        };
        Part::value_variants().iter().copied().filter(is_chosen).collect()
    }

    /// The arguments that measure `part` as this run does.
    fn arguments(&self, part: Part) -> String {
        let mut arguments = format!("--part {}", part.name());
        if self.quick {
            arguments += " --quick";
        }
        if let Some(rounds) = self.rounds {
            arguments += &format!(" --rounds {rounds}");
        }
        if !self.only.is_empty() {
            let names: Vec<_> = self.only.iter().map(|peer| peer.name).collect();
            arguments += &format!(" --only {}", names.join(","));
        }
        if !self.case.is_empty() {
            let names: Vec<_> = self.case.iter().map(|case| case.name()).collect();
            arguments += &format!(" --case {}", names.join(","));
        }
        arguments
    }
}
