//! The echo servers, one module per peer, written as the peer's own documentation would.
//!
//! Alike for all: they listen on a loopback port of the system's choice, set `TCP_NODELAY`,
//! read into buffers of [`BUFFER`] bytes, and stay on one thread where the peer can.

mod async_io_local;
mod calloop;
mod compio_uring;
mod echo;
mod foreign;
mod mio;
mod monoio;
mod polling;
mod raw_epoll_edge;
mod raw_epoll_level;
mod selkie_async;
mod selkie_select;
mod selkie_shared;
mod smol;
mod tokio;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};
pub use foreign::versions as foreign_versions;

/// Bytes that a server reads at once: what one TCP segment over loopback and the largest
/// message of the cases fit in.
pub const BUFFER: usize = 16 * 1024;

/// Bytes that a task reads at once: a loop has one buffer for all connections, but each task
/// has its own, which would hide what the runtime itself keeps for a connection.
static TASK_BUFFER: OnceLock<usize> = OnceLock::new();

/// Where every server listens: on a port that the system chooses.
pub const ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// The name of the peer that all others are compared with.
pub const REFERENCE: &str = "raw-epoll-edge";

/// The crates whose versions belong in a report.
pub const CRATES: &[&str] = &[
    "async-executor",
    "async-io",
    "calloop",
    "compio",
    "mio",
    "monoio",
    "polling",
    "rustix",
    "selkie",
    "smol",
    "tokio",
];

/// An echo server that can be measured.
pub struct Peer {
    pub name: &'static str,
    /// What it is, for the report.
    pub about: &'static str,
    start: Start,
}

enum Start {
    /// Runs in this program; returns only with an error.
    Here(fn() -> Result<()>),
    /// Is another program.
    Foreign {
        /// Puts what the program needs into a folder; done twice, it does it once.
        prepare: fn(&Path) -> Result<()>,
        command: fn(&Path) -> Command,
    },
}

/// All of them, in the order of the reports.
pub const PEERS: &[Peer] = &[
    here(REFERENCE, "hand-written epoll loop, edge-triggered", raw_epoll_edge::serve),
    here("raw-epoll-level", "hand-written epoll loop, level-triggered", raw_epoll_level::serve),
    here("selkie-async", "tasks", selkie_async::serve),
    here("selkie-shared", "tasks that share one read buffer", selkie_shared::serve),
    here("selkie-select", "the explicit loop over `DefaultSelector`", selkie_select::serve),
    here("selkie-select-epoll", "the same over `EpollSelector`", selkie_select::serve_epoll),
    here("mio", "explicit loop, edge-triggered", mio::serve),
    here("polling", "explicit loop, oneshot", polling::serve),
    here("calloop", "callbacks, level-triggered", calloop::serve),
    here("tokio", "tasks, `current_thread` runtime", tokio::serve),
    here("smol", "tasks, `smol::spawn`", smol::serve),
    here("async-io-local", "tasks, async-io with a `LocalExecutor`", async_io_local::serve),
    here("monoio-epoll", "tasks, its legacy driver", monoio::serve_epoll),
    here("monoio-uring", "tasks, io_uring", monoio::serve_uring),
    here("compio-uring", "tasks, io_uring", compio_uring::serve),
    foreign("libuv", "callbacks, in C", foreign::prepare_libuv, foreign::libuv),
    foreign(
        "python-selectors",
        "explicit loop, in Python",
        foreign::prepare_python,
        foreign::python_selectors,
    ),
    foreign(
        "python-asyncio",
        "a protocol, in Python",
        foreign::prepare_python,
        foreign::python_asyncio,
    ),
    foreign(
        "python-uvloop",
        "a protocol, in Python over libuv",
        foreign::prepare_uvloop,
        foreign::python_uvloop,
    ),
];

const fn here(name: &'static str, about: &'static str, serve: fn() -> Result<()>) -> Peer {
    Peer { name, about, start: Start::Here(serve) }
}

const fn foreign(
    name: &'static str,
    about: &'static str,
    prepare: fn(&Path) -> Result<()>,
    command: fn(&Path) -> Command,
) -> Peer {
    Peer { name, about, start: Start::Foreign { prepare, command } }
}

impl Peer {
    /// The peer of this name.
    pub fn find(name: &str) -> Result<&'static Self> {
        PEERS.iter().find(|peer| peer.name == name).with_context(|| {
            let known: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
            format!("{name:?} is no peer; use one of {}", known.join(", "))
        })
    }

    /// Puts what the server needs into `tools`; fails with the reason to leave it out.
    pub fn prepare(&self, tools: &Path) -> Result<()> {
        match self.start {
            Start::Here(_) => Ok(()),
            Start::Foreign { prepare, .. } => prepare(tools),
        }
    }

    /// Becomes the server. Its first line on standard output is its port and process id.
    pub fn serve(&self, tools: &Path, task_buffer: usize) -> Result<()> {
        TASK_BUFFER.get_or_init(|| task_buffer);
        match self.start {
            Start::Here(serve) => serve(),
            Start::Foreign { command, .. } => Err(command(tools).exec().into()),
        }
    }
}

/// Bytes of the buffer of a task.
fn task_buffer() -> usize {
    *TASK_BUFFER.get().unwrap_or(&BUFFER)
}

/// Tells the harness where the server listens.
pub fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{} {}", address.port(), std::process::id())?;
    stdout.flush()
}
