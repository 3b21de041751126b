//! A program under test: started, read line by line, and in any case ended.

#![allow(dead_code)] // No test binary uses all of it.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// For anything that takes a moment on an idle machine, so that a busy one fails no test.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Which of a program's two outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stream {
    Out,
    Err,
}

pub struct Program {
    child: Child,
    incoming: Receiver<(Stream, String)>,
    lines: Vec<(Stream, String)>,
    /// How many of `lines` are behind the last one that was waited for, by stream: the two come in
    /// no particular order.
    passed: [usize; 2],
}

/// What a program that has ended leaves behind.
pub struct Ended {
    pub status: ExitStatus,
    pub out: Vec<String>,
    pub err: Vec<String>,
}

impl Program {
    pub fn start(command: &mut Command) -> Self {
        Self::start_as_is(command.stdin(Stdio::null()))
    }

    /// As [`start`](Self::start), with a standard input to write to.
    pub fn start_with_input(command: &mut Command) -> (Self, ChildStdin) {
        let mut program = Self::start_as_is(command.stdin(Stdio::piped()));
        let input = program.child.stdin.take().unwrap();
        (program, input)
    }

    fn start_as_is(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, incoming) = channel();
        let outputs: [(_, Box<dyn Read + Send>); 2] = [
            (Stream::Out, Box::new(child.stdout.take().unwrap())),
            (Stream::Err, Box::new(child.stderr.take().unwrap())),
        ];
        for (stream, output) in outputs {
            let sender = sender.clone();
            // Ends with the program, which the guard ends.
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send((stream, line)).is_err() {
                        break;
                    }
                }
            });
        }
        Self { child, incoming, lines: Vec::new(), passed: [0; 2] }
    }

    /// An example of this crate.
    pub fn example(name: &str, arguments: &[&str]) -> Self {
        Self::start(Command::new(example_path(name)).args(arguments))
    }

    /// A Python program of `tests/interop`, or none where there is no python3.
    pub fn python(script: &str, arguments: &[&str]) -> Option<Self> {
        let answer = Command::new("python3").arg("--version").stdin(Stdio::null()).output();
        if !answer.is_ok_and(|answer| answer.status.success()) {
            assert_ne!(env::var_os("CI").as_deref(), Some(OsStr::new("true")), "CI needs python3");
            println!("skipped: there is no python3 to run {script}");
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(script);
        Some(Self::start(Command::new("python3").arg("-u").arg(script).args(arguments)))
    }

    /// Waits for the next line of `stream` that `wanted` likes, and returns it.
    pub fn wait_for(&mut self, stream: Stream, wanted: impl FnMut(&str) -> bool) -> String {
        match self.find_by(Instant::now() + PATIENCE, stream, wanted) {
            Ok(line) => line,
            Err(error) => panic!("no such line, but {error}, after {:#?}", self.last_lines()),
        }
    }

    /// The next line of `stream` that `wanted` likes, if it comes until `deadline`.
    pub fn find_by(
        &mut self,
        deadline: Instant,
        stream: Stream,
        mut wanted: impl FnMut(&str) -> bool,
    ) -> Result<String, RecvTimeoutError> {
        loop {
            let passed = &mut self.passed[stream as usize];
            while let Some((from, line)) = self.lines.get(*passed) {
                *passed += 1;
                if *from == stream && wanted(line) {
                    return Ok(line.clone());
                }
            }
            let patience = deadline.saturating_duration_since(Instant::now());
            let line = self.incoming.recv_timeout(patience)?;
            self.lines.push(line);
        }
    }

    /// Waits for a line of standard output that begins so.
    pub fn wait_for_line(&mut self, beginning: &str) -> String {
        self.wait_for(Stream::Out, |line| line.starts_with(beginning))
    }

    /// The address that a server tells in its first line.
    pub fn address(&mut self) -> SocketAddr {
        let line = self.wait_for_line("starting up on ");
        let (ip, port) = line["starting up on ".len()..].split_once(" port ").unwrap();
        SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap())
    }

    /// Waits until the program has ended of its own accord.
    pub fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let patience = deadline.saturating_duration_since(Instant::now());
            match self.incoming.recv_timeout(patience) {
                Ok(line) => self.lines.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("the program goes on, after {:#?}", self.last_lines())
                }
            }
        }
        let status = self.child.wait().unwrap();
        let (out, err): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.lines).into_iter().partition(|(from, _)| *from == Stream::Out);
        let texts = |lines: Vec<(_, String)>| lines.into_iter().map(|(_, line)| line).collect();
        Ended { status, out: texts(out), err: texts(err) }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// How many threads it has at the moment.
    pub fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().count()
    }

    /// The processor time that it has used.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // `utime` and `stime`, the 14th and 15th; the second, in parentheses, may have blanks.
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u32>().unwrap());
        Duration::from_millis(10) * ticks.sum() // USER_HZ is 100.
    }

    fn last_lines(&self) -> &[(Stream, String)] {
        &self.lines[self.lines.len().saturating_sub(20)..]
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails only for a program that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where `cargo test` puts examples: beside the directory of the tests' own programs.
pub fn example_path(name: &str) -> PathBuf {
    let mut path = env::current_exe().unwrap();
    path.pop();
    path.set_file_name("examples");
    path.push(name);
    assert!(path.exists(), "{} is not built: run `cargo build --examples`", path.display());
    path
}
