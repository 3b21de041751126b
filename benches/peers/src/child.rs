//! The harness's side of the processes: starting them, listening to them with a deadline, and
//! ending each by its id, whatever happens.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use crate::case::{Case, Work};
use crate::load::{HELD, Outcome};
use crate::servers::Peer;

/// How long a process may take to say what is expected of it: more than the load's own
/// patience, and enough for Python under callgrind.
const PATIENCE: Duration = Duration::from_secs(90);

/// A child that is ended and waited for when it goes out of scope.
struct Guard {
    child: Child,
    stdout: ChildStdout,
    stderr: File,
}

impl Guard {
    fn start(command: &mut Command) -> Result<Self> {
        let stderr = tempfile::tempfile()?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone()?)
            .spawn()
            .with_context(|| format!("{} does not start", command.get_program().display()))?;
        let stdout = child.stdout.take().context("it is piped")?;
        Ok(Self { child, stdout, stderr })
    }

    /// The next line on its standard output. If there is none, the error is what it said last
    /// on its standard error.
    fn line(&mut self) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut line = Vec::new();
        loop {
            let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now()))?;
            let mut fds = [PollFd::new(&self.stdout, PollFlags::IN)];
            if poll(&mut fds, Some(&left))? == 0 {
                bail!("no answer within {} s", PATIENCE.as_secs());
            }
            // Byte by byte: a line is short, and nothing after it is taken.
            let mut byte = [0];
            match self.stdout.read(&mut byte)? {
                0 => return Err(self.complaint()),
                _ if byte == *b"\n" => return Ok(String::from_utf8(line)?),
                _ => line.extend(byte),
            }
        }
    }

    fn complaint(&mut self) -> anyhow::Error {
        let mut said = Vec::new();
        let read = self.stderr.rewind().and_then(|()| self.stderr.read_to_end(&mut said));
        let said = String::from_utf8_lossy(&said);
        match read {
            Err(error) => error.into(),
            Ok(_) => anyhow!("{}", said.trim().lines().last().unwrap_or("it ended silently")),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Fails only if it has ended already; then there is just the waiting to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How much a load generator does: messages, or connections for churn.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// Before anything is counted.
    pub warm_up: u32,
    pub count: u32,
    pub pace: Pace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The next message begins as soon as one is back.
    Closed,
    /// The next ones begin when all are back and the server waits again.
    Bursts,
}

/// A running echo server, perhaps under a tool that watches it.
pub struct Server {
    guard: Guard,
    pub port: u16,
    pub pid: u32,
}

impl Server {
    /// Starts `peer` on `core`, with what it needs in `tools`, perhaps under the command line
    /// of a `watcher`. `buffer` is the size of the buffer that each task has.
    pub fn start(
        peer: &Peer,
        tools: &Path,
        core: usize,
        watcher: &[OsString],
        buffer: usize,
    ) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", peer.name, "--core", &core.to_string()]);
        command.args(["--buffer", &buffer.to_string()]).arg("--tools").arg(tools);
        command.arg("--").args(watcher);
        Self::announced(command)
    }

    /// Starts an HTTP server on `core`.
    pub fn start_http(name: &str, core: usize) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve-http", name, "--core", &core.to_string()]);
        Self::announced(command)
    }

    fn announced(mut command: Command) -> Result<Self> {
        let mut guard = Guard::start(&mut command)?;
        let announced = guard.line()?;
        let (port, pid) = announced.split_once(' ').context("no port and process id")?;
        Ok(Self { port: port.parse()?, pid: pid.parse()?, guard })
    }

    /// Ends the server by a signal that a tool around it sees, and waits until the tool has
    /// written what it knows.
    pub fn finish(mut self) -> Result<()> {
        let pid = Pid::from_raw(self.pid.cast_signed()).context("a process id")?;
        kill_process(pid, Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        while self.guard.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Lets a load generator on `core` do the work of `case`.
    pub fn load(&self, case: Case, amount: Amount, core: usize) -> Result<Outcome> {
        let mut command = self.load_command(case.work, core)?;
        for (name, value) in [
            ("--connections", case.connections),
            ("--outstanding", case.outstanding),
            ("--bytes", case.bytes),
            ("--warm-up", amount.warm_up),
            ("--count", amount.count),
        ] {
            command.arg(name).arg(value.to_string());
        }
        if amount.pace == Pace::Bursts {
            command.arg("--paced");
        }
        let mut guard = Guard::start(&mut command)?;
        Ok(serde_json::from_str(&guard.line()?)?)
    }

    /// Opens `connections` that stay idle until the result is dropped.
    pub fn hold(&self, connections: u32, core: usize) -> Result<Idle> {
        let mut command = self.load_command(Work::Idle, core)?;
        let mut guard = Guard::start(command.arg("--connections").arg(connections.to_string()))?;
        let line = guard.line()?;
        if line != HELD {
            bail!("the load said {line:?}");
        }
        Ok(Idle { _stdin: guard.child.stdin.take(), _guard: guard })
    }

    fn load_command(&self, work: Work, core: usize) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        let work = work.to_possible_value().context("it has a name")?;
        command.args(["load", work.get_name()]);
        command.arg("--port").arg(self.port.to_string());
        command.arg("--pid").arg(self.pid.to_string());
        command.arg("--core").arg(core.to_string());
        Ok(command)
    }
}

/// Connections that stay until this is dropped.
pub struct Idle {
    _stdin: Option<ChildStdin>,
    _guard: Guard,
}
