//! The load generator: a process of its own, the same for every peer, written directly on
//! epoll. It checks every byte that comes back.

mod churn;
mod connection;
mod echo;
mod idle;
mod pattern;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::case::Work;
use crate::system::{self, CpuClock};
pub use idle::HELD;
use pattern::Pattern;

/// How long a read, a write or a whole run of the load may take; a server that is slower than
/// that is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a paced load lets the server be: enough for Python under callgrind to wait again.
const PAUSE: Duration = Duration::from_millis(2);

/// The arguments of the sub-command `load`.
#[derive(Args, Clone, Debug)]
pub struct Load {
    /// What to do to the server.
    #[arg(value_enum)]
    pub work: Work,
    /// The server's port on the loopback address.
    #[arg(long)]
    pub port: u16,
    /// The server's process id, whose processor time is read.
    #[arg(long)]
    pub pid: u32,
    /// Connections at once.
    #[arg(long)]
    pub connections: u32,
    /// Messages of a connection that are under way at once.
    #[arg(long, default_value_t = 1)]
    pub outstanding: u32,
    /// Size of a message.
    #[arg(long, default_value_t = 64)]
    pub bytes: u32,
    /// Messages (for churn: connections) before counting starts.
    #[arg(long, default_value_t = 0)]
    pub warm_up: u32,
    /// Messages (for churn: connections) that are counted.
    #[arg(long, default_value_t = 0)]
    pub count: u32,
    /// Begin the next messages only when all are back and the server has had time to wait
    /// again: for a server under a tool that slows it down.
    #[arg(long)]
    pub paced: bool,
    /// The core to run on.
    #[arg(long)]
    pub core: Option<usize>,
}

/// What a run of the load has found; nanoseconds throughout.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Messages (for churn: connections) that were counted.
    pub count: u64,
    pub elapsed_ns: u64,
    pub server_cpu_ns: u64,
    pub load_cpu_ns: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
}

impl Outcome {
    /// Messages (for churn: connections) per second.
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.elapsed_ns as f64 * 1e9
    }

    /// The server's processor time in units of the load generator's: what both pay alike, for
    /// the kernel and for the machine's moods, cancels out.
    pub fn cpu_ratio(&self) -> f64 {
        self.server_cpu_ns as f64 / self.load_cpu_ns as f64
    }
}

impl Load {
    /// Does the work and prints the [`Outcome`] as a line of JSON.
    pub fn run(&self) -> Result<()> {
        system::settle(self.core)?;
        let pattern = Pattern::new();
        match self.work {
            Work::Echo => print(&echo::run(self, &pattern)?),
            Work::Churn => print(&churn::run(self, &pattern)?),
            Work::Idle => idle::run(self, &pattern),
        }
    }

    /// Cuts `count` into what is under way at once, with a pause after each piece, if the load
    /// is paced; else leaves it whole.
    fn bursts(&self, count: u32, mut run: impl FnMut(u32) -> Result<()>) -> Result<()> {
        let most = if self.paced { self.connections * self.outstanding } else { count };
        let mut left = count;
        while left > 0 {
            let burst = left.min(most);
            run(burst)?;
            left -= burst;
            if self.paced {
                thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// A connection to the server that blocks.
    fn connect(&self) -> Result<TcpStream> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A connection that has echoed one message, so that the server has accepted it; more of
    /// them than fit in the queue of the listener can be made in a row.
    fn connect_and_greet(&self, pattern: &Pattern) -> Result<TcpStream> {
        use std::io::Read;

        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let message = pattern.at(0, self.bytes as usize);
        let mut answer = vec![0; message.len()];
        stream.write_all(message)?;
        stream.read_exact(&mut answer).context("no echo of the first message")?;
        ensure!(answer == message, "the first echo differs from what was sent");
        Ok(stream)
    }

    /// Runs `work` and takes its time, by the clock and on the processor.
    fn measure(&self, work: impl FnOnce(&mut Latencies) -> Result<()>) -> Result<Outcome> {
        let (server, load) = (CpuClock::of(self.pid)?, CpuClock::of(std::process::id())?);
        let mut latencies = Latencies::new()?;
        let (server_before, load_before) = (server.now()?, load.now()?);
        let start = Instant::now();
        work(&mut latencies)?;
        let elapsed = start.elapsed();
        let (load_after, server_after) = (load.now()?, server.now()?);
        let Latencies(latencies) = latencies;
        ensure!(
            latencies.len() == u64::from(self.count),
            "{} of {} came back",
            latencies.len(),
            self.count
        );
        Ok(Outcome {
            count: latencies.len(),
            elapsed_ns: nanoseconds(elapsed),
            server_cpu_ns: nanoseconds(server_after - server_before),
            load_cpu_ns: nanoseconds(load_after - load_before),
            p50_ns: latencies.value_at_quantile(0.5),
            p99_ns: latencies.value_at_quantile(0.99),
            p999_ns: latencies.value_at_quantile(0.999),
        })
    }
}

/// How long each message, or connection, took.
struct Latencies(Histogram<u64>);

impl Latencies {
    /// Up to [`PATIENCE`], to three digits.
    fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, nanoseconds(PATIENCE), 3)?))
    }

    fn record(&mut self, latency: Duration) {
        self.0.saturating_record(nanoseconds(latency));
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

fn print(outcome: &Outcome) -> Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, outcome)?;
    Ok(writeln!(stdout)?)
}
