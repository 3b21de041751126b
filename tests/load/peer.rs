//! Another process of the same test: started, talked with line by line, stopped, and in any case
//! ended. And that process's own side of it.

use std::fmt::Display;
use std::fs::File;
use std::io::{Lines, StdinLock, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use futures::io::BufReader;
use futures::{AsyncBufReadExt, StreamExt};
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid,
};
use selkie::Async;

use crate::harness::{other_process, tell};

pub struct Peer {
    child: Child,
    stdin: ChildStdin,
    lines: futures::io::Lines<BufReader<Async<File>>>,
}

impl Peer {
    /// Starts one, in the current runtime, and tells it where the server is.
    pub fn start(role: &str, server: SocketAddr) -> Self {
        let mut command = other_process(role);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = File::from(OwnedFd::from(child.stdout.take().unwrap()));
        let stdout = Async::new(stdout).unwrap();
        let mut peer = Self { child, stdin, lines: BufReader::new(stdout).lines() };
        peer.say(server);
        peer
    }

    pub fn say(&mut self, line: impl Display) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// The next line that it [`tell`]s begins so; returns the rest of it.
    pub async fn expect(&mut self, beginning: &str) -> String {
        loop {
            let line = self.lines.next().await;
            let line = line.unwrap_or_else(|| panic!("it has ended before it said {beginning:?}"));
            let line = line.unwrap();
            if let Some(line) = line.strip_prefix("> ") {
                let rest = line.strip_prefix(beginning);
                return rest.unwrap_or_else(|| panic!("{line:?}, not {beginning:?}")).to_owned();
            }
        }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Stops it, and returns when it stands still.
    pub fn stop(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// It has said all, and ends well.
    pub async fn end(mut self) {
        while let Some(line) = self.lines.next().await {
            let line = line.unwrap();
            assert!(!line.starts_with("> "), "it has more to say: {line}");
        }
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Fails only for one that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The started process's side.
pub struct Master {
    pub server: SocketAddr,
    lines: Lines<StdinLock<'static>>,
}

impl Master {
    /// Whoever started this process, and takes it along when it ends.
    pub fn meet() -> Self {
        set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
        let mut lines = std::io::stdin().lines();
        let server = lines.next().unwrap().unwrap().parse().unwrap();
        Self { server, lines }
    }

    /// Waits for this line.
    #[track_caller]
    pub fn expect(&mut self, line: &str) {
        assert_eq!(self.lines.next().expect("it goes on").unwrap(), line);
    }

    /// Waits for this line in a task, while others go on.
    pub async fn hear(&mut self, line: &str) {
        let stdin = File::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
        let mut lines = BufReader::new(Async::new(stdin).unwrap()).lines();
        assert_eq!(lines.next().await.expect("it goes on").unwrap(), line);
    }

    pub fn tell(&self, line: impl Display) {
        tell(line);
    }

    /// Connects to the server. The socket blocks, but not for ever.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server).unwrap();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        stream.set_write_timeout(Some(SILENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

/// Longer than any server may be silent.
const SILENCE: Duration = Duration::from_secs(30);
