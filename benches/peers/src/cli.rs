//! The command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::load::Load;
use crate::servers::Peer;
use crate::system;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Be an echo server (the harness starts these).
    #[command(hide = true)]
    Serve(Serve),
    /// Be the load generator (the harness starts these).
    #[command(hide = true)]
    Load(Load),
}

#[derive(Args)]
struct Serve {
    name: String,
    /// The core to run on.
    #[arg(long)]
    core: usize,
    /// The folder with what foreign servers need.
    #[arg(long)]
    tools: PathBuf,
}

pub fn run() -> Result<()> {
    match Cli::parse().command {
        Some(Command::Serve(serve)) => {
            system::settle(serve.core)?;
            Peer::find(&serve.name)?.serve(&serve.tools)
        }
        Some(Command::Load(load)) => load.run(),
        None => {
            let tools = tempfile::tempdir()?;
            for peer in crate::servers::PEERS {
                let cores = system::Cores::shared()?;
                let r = (|| -> Result<_> {
                    peer.prepare(tools.path())?;
                    let server =
                        crate::child::Server::start(peer, tools.path(), cores.server, &[])?;
                    Ok(server.load(crate::case::Case::echo(50, 64, 1), 20000, cores.load)?)
                })();
                match r {
                    Ok(o) => println!(
                        "{} {:?} {:.3}",
                        peer.name,
                        o,
                        o.server_cpu_ns as f64 / o.load_cpu_ns as f64
                    ),
                    Err(e) => println!("{} {e:#}", peer.name),
                }
            }
            Ok(())
        }
    }
}
