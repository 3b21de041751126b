//! The command line.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::case::Case;
use crate::http::Contender;
use crate::load::Load;
use crate::matrix;
use crate::report;
use crate::results::{Part, Results};
use crate::servers::Peer;
use crate::system;

/// Measures selkie side by side with what a user would pick instead, and writes RESULTS.md,
/// charts and the samples (results.json).
#[derive(Parser)]
#[command(about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    matrix: Matrix,
}

/// What to measure, and how thoroughly.
#[derive(Args, Clone)]
pub struct Matrix {
    /// Measure for some two minutes: fewer cases, shorter runs, no build figures.
    #[arg(long)]
    pub quick: bool,
    /// Measure these peers alone (the reference is always there).
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = Peer::find)]
    pub only: Vec<&'static Peer>,
    /// Measure these cases alone, in the parts that have cases.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = Case::find)]
    pub case: Vec<Case>,
    /// Measure these parts alone.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub part: Vec<Part>,
    /// Rounds of every measurement that is repeated.
    #[arg(long)]
    pub rounds: Option<u32>,
    /// Keep what an earlier run found in the parts that are not measured now.
    #[arg(long)]
    pub keep: bool,
    /// Folder for the report [default: benches].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Compare the runtimes' own operations: short for `--part micro --keep`.
    Micro(Single),
    /// Compare what depending on a runtime costs: short for `--part build --keep`.
    Build(Single),
    /// Write the report again from the samples of an earlier run.
    Report {
        /// Folder of the report [default: benches].
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Be an echo server (the harness starts these).
    #[command(hide = true)]
    Serve(Serve),
    /// Be an HTTP server (the harness starts these).
    #[command(hide = true)]
    ServeHttp {
        name: String,
        /// The core to run on.
        #[arg(long)]
        core: Option<usize>,
    },
    /// Be the load generator (the harness starts these).
    #[command(hide = true)]
    Load(Load),
}

#[derive(Args)]
struct Serve {
    #[arg(value_parser = Peer::find)]
    peer: &'static Peer,
    /// The core to run on.
    #[arg(long)]
    core: Option<usize>,
    /// The size of the buffer that each task of an async server has.
    #[arg(long)]
    buffer: usize,
    /// The folder with what foreign servers need.
    #[arg(long)]
    tools: PathBuf,
    /// The command line of a tool to run the server under.
    #[arg(last = true)]
    watcher: Vec<OsString>,
}

impl Serve {
    fn run(&self) -> Result<()> {
        let Self { peer, core, buffer, tools, watcher } = self;
        system::settle(*core)?;
        let [tool, arguments @ ..] = &watcher[..] else { return peer.serve(tools, *buffer) };
        // What was settled outlasts the exec, so it is true of the tool as well.
        let mut command = process::Command::new(tool);
        command.args(arguments).arg(std::env::current_exe()?).args(["serve", peer.name]);
        command.args(["--buffer", &buffer.to_string()]).arg("--tools").arg(tools);
        Err(command.exec()).with_context(|| tool.display().to_string())
    }
}

/// How to measure a single part.
#[derive(Args)]
struct Single {
    /// Measure with less patience.
    #[arg(long)]
    quick: bool,
    /// Rounds of the measurement.
    #[arg(long)]
    rounds: Option<u32>,
    /// Folder for the report [default: benches].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Single {
    fn of(self, part: Part) -> Matrix {
        let Self { quick, rounds, out } = self;
        let part = vec![part];
        Matrix { quick, only: Vec::new(), case: Vec::new(), part, rounds, keep: true, out }
    }
}

pub fn run() -> Result<()> {
    let Cli { command, matrix } = Cli::parse();
    match command {
        None => matrix::run(&matrix),
        Some(Command::Micro(single)) => matrix::run(&single.of(Part::Micro)),
        Some(Command::Build(single)) => matrix::run(&single.of(Part::Build)),
        Some(Command::Report { out }) => {
            let folder = out.unwrap_or_else(matrix::default_folder);
            report::write(&Results::load(&folder)?, &folder)
        }
        Some(Command::Serve(serve)) => serve.run(),
        Some(Command::ServeHttp { name, core }) => {
            system::settle(core)?;
            Contender::serve(&name)
        }
        Some(Command::Load(load)) => load.run(),
    }
}
