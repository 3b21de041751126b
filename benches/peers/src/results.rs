//! What has been measured: written as JSON beside the report, so that a part can be measured
//! again, or the report be written again, without the rest.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::environment::{Environment, Noise};
use crate::load::Outcome;

const FILE: &str = "results.json";

/// The parts of the report, each with its own measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Part {
    /// Server CPU per message, relative to the load generator's.
    Cpu,
    /// Messages per second and latency, with a core each.
    Rate,
    /// System calls per message.
    Calls,
    /// User instructions per message.
    Instructions,
    /// Memory per idle connection.
    Memory,
    /// The runtimes' own operations: tasks, wake-ups, timers.
    Micro,
    /// HTTP requests per second of the server's processor time, under wrk.
    Http,
    /// What depending on a runtime costs: crates, seconds, bytes.
    Build,
}

impl Part {
    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

#[derive(Default, Serialize, Deserialize)]
pub struct Results {
    pub parts: Vec<Measured>,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
    pub cpu: Vec<Run>,
    pub rate: Vec<Run>,
    pub calls: Vec<Calls>,
    pub instructions: Vec<Figure>,
    pub memory: Vec<Memory>,
    pub micro: Vec<Micro>,
    #[serde(default)]
    pub http: Vec<Http>,
    pub build: Vec<Build>,
}

/// A part that has been measured: where, and by which arguments.
#[derive(Clone, Serialize, Deserialize)]
pub struct Measured {
    pub part: Part,
    pub environment: Environment,
    pub arguments: String,
    pub noise: Noise,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// `None` if it does not run here at all.
    pub part: Option<Part>,
    pub peer: String,
    pub reason: String,
}

/// A peer under a case, round by round.
#[derive(Clone, Serialize, Deserialize)]
pub struct Run {
    pub case: Case,
    pub peer: String,
    pub outcomes: Vec<Outcome>,
}

/// System calls per message, the most frequent first.
#[derive(Clone, Serialize, Deserialize)]
pub struct Calls {
    pub case: Case,
    pub peer: String,
    pub calls: Vec<(String, f64)>,
}

/// A number of a peer under a case, once per round.
#[derive(Clone, Serialize, Deserialize)]
pub struct Figure {
    pub case: Case,
    pub peer: String,
    pub samples: Vec<f64>,
}

/// Bytes of memory per idle connection, once per round.
#[derive(Clone, Serialize, Deserialize)]
pub struct Memory {
    pub peer: String,
    /// With tasks that have a buffer of 16 KiB each.
    pub large: Vec<f64>,
    /// With tasks that have one of 64 B each.
    pub small: Vec<f64>,
}

/// An operation of a runtime: nanoseconds each, round by round.
#[derive(Clone, Serialize, Deserialize)]
pub struct Micro {
    pub operation: String,
    pub contender: String,
    pub nanoseconds: Vec<f64>,
}

/// An HTTP server under wrk, round by round.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Http {
    pub connections: u32,
    pub server: String,
    /// Requests per second of the server's processor time.
    pub per_cpu_second: Vec<f64>,
    /// Requests per second.
    pub per_second: Vec<f64>,
}

/// What depending on a runtime costs.
#[derive(Clone, Serialize, Deserialize)]
pub struct Build {
    pub dependency: String,
    pub crates: usize,
    pub seconds: Vec<f64>,
    pub bytes: u64,
}

impl Results {
    /// What an earlier run left in `folder`; nothing if there was none.
    pub fn load(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE);
        match fs::read(&file) {
            Ok(json) => serde_json::from_slice(&json)
                .with_context(|| format!("{}: made by another version?", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| file.display().to_string()),
        }
    }

    pub fn save(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        Ok(fs::write(folder.join(FILE), serde_json::to_vec(self)?)?)
    }

    /// How `part` was measured, if it was.
    pub fn measured(&self, part: Part) -> Option<&Measured> {
        self.parts.iter().find(|measured| measured.part == part)
    }

    /// Forgets what was known of `part`, and notes how it is measured now.
    pub fn begin(&mut self, part: Part, environment: Environment, arguments: &str) {
        self.parts.retain(|measured| measured.part != part);
        self.skipped.retain(|skipped| skipped.part != Some(part));
        let arguments = arguments.to_owned();
        let noise = Noise::default();
        self.parts.push(Measured { part, environment, arguments, noise });
    }

    /// Notes who else used the processors while `part` was measured.
    pub fn set_noise(&mut self, part: Part, noise: Noise) {
        if let Some(measured) = self.parts.iter_mut().find(|measured| measured.part == part) {
            measured.noise = noise;
        }
    }

    pub fn skip(&mut self, part: Option<Part>, peer: &str, reason: &anyhow::Error) {
        let skipped = Skipped { part, peer: peer.to_owned(), reason: format!("{reason:#}") };
        if !self.skipped.contains(&skipped) {
            self.skipped.push(skipped);
        }
    }
}
