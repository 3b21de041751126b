//! One run of the harness: the chosen parts one after another, and the report after each, so
//! that nothing is lost if a later one fails.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;

use crate::cli::Matrix;
use crate::environment::{Environment, Stolen};
use crate::harness::{self, Effort, Harness};
use crate::results::{Part, Results};
use crate::servers::{PEERS, REFERENCE};
use crate::{footprint, measure, micro, report};

/// `benches/` of this repository.
pub fn default_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

pub fn run(matrix: &Matrix) -> Result<()> {
    let folder = matrix.out.clone().unwrap_or_else(default_folder);
    let mut harness = Harness {
        effort: if matrix.quick { Effort::Quick } else { Effort::Full },
        rounds: matrix.rounds,
        cases: (!matrix.case.is_empty()).then(|| matrix.case.clone()),
        peers: PEERS.iter().filter(|peer| matrix.chooses(peer.name)).collect(),
        tools: tempfile::tempdir()?,
        bar: harness::bar()?,
        results: if matrix.keep { Results::load(&folder)? } else { Results::default() },
    };
    let parts = matrix.parts();
    if parts.iter().any(|part| !matches!(part, Part::Micro | Part::Build)) {
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
    let before = Stolen::now()?;
    match part {
        Part::Cpu => measure::cpu(harness)?,
        Part::Rate => measure::rate(harness)?,
        Part::Calls => measure::calls(harness)?,
        Part::Instructions => measure::instructions(harness)?,
        Part::Memory => measure::memory(harness)?,
        Part::Micro => micro::measure(harness)?,
        Part::Build => footprint::measure(harness)?,
    }
    let stolen = Stolen::now()?.permille_since(before);
    harness.results.set_stolen(part, stolen);
    Ok(())
}

impl Matrix {
    fn chooses(&self, peer: &str) -> bool {
        self.only.is_empty() || peer == REFERENCE || self.only.iter().any(|p| p.name == peer)
    }

    fn parts(&self) -> Vec<Part> {
        let all = Part::value_variants();
        match (self.part.is_empty(), self.quick) {
            (false, _) => self.part.clone(),
            (true, true) => all.iter().copied().filter(|part| *part != Part::Build).collect(),
            (true, false) => all.to_vec(),
        }
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
