//! Measures selkie side by side with what a user would pick instead, and writes the report.
//!
//! `cargo run --release -p peers -- --help` says what there is. Run by its own name this program
//! is the harness; it starts itself again as each server (`serve`) and as the load (`load`), so
//! that every measurement has processes of its own.

mod case;
mod child;
mod cli;
mod environment;
mod footprint;
mod harness;
mod http;
mod load;
mod matrix;
mod measure;
mod micro;
mod report;
mod results;
mod servers;
mod stats;
mod system;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
