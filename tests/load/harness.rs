//! A process for each load, its limits, what it has in use, and an echo that is counted.

use std::cell::Cell;
use std::env;
use std::fmt::Display;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use selkie::{Async, Task, spawn, timeout, yield_now};

use crate::child::{self, role};
use crate::util::backend;

/// For a load to end. Each takes a few seconds on an idle machine; only a failing one, or a
/// machine with much else to do, needs more.
pub const PATIENCE: Duration = Duration::from_secs(200);

/// The name of the test that a process is about, for those that it starts in turn.
const NAME: &str = "SELKIE_LOAD_NAME";

/// Runs the test `test` of `module` in a process of its own, on this back end, and prints the
/// figures that it tells. In that process, and in those that it starts by [`peer`], runs `load`.
pub fn alone(module: &str, test: &str, backend: &str, load: fn()) {
    if role().is_some() {
        return load();
    }
    let (_crate, path) = module.split_once("::").unwrap();
    let name = format!("{path}::{test}");
    let mut command = child::command(&name, "load");
    command.env(NAME, &name).env("SELKIE_BACKEND", backend);
    let printed = child::run_within(&mut command, PATIENCE + Duration::from_secs(10));
    let mut figures = printed.lines().filter(|line| line.starts_with("> ")).peekable();
    assert!(figures.peek().is_some(), "{name} tells no figures:\n{printed}");
    figures.for_each(|line| println!("{line}"));
}

/// The command for another process of this same test, with another role.
pub fn other_process(role: &str) -> std::process::Command {
    let mut command = child::command(&env::var(NAME).unwrap(), role);
    command.env("SELKIE_BACKEND", backend().name());
    command
}

/// Tells a figure, or a line to the process that started this one. The line before may not have
/// ended, as libtest prints the test's name.
pub fn tell(line: impl Display) {
    println!("\n> {line}");
}

/// The value of `load`, on a runtime of its own; panics if it takes too long.
#[track_caller]
pub fn run<T>(load: impl Future<Output = T>) -> T {
    let ended = selkie::block_on(timeout(PATIENCE, load));
    ended.unwrap_or_else(|_| panic!("the load waits for what does not come"))
}

/// Lets the loop go round until `condition` holds. Only in [`run`], which is bounded.
pub async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

/// Raises the limit of descriptors as far as that goes without special rights.
pub fn raise_limit() -> rlim_t {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    hard
}

/// The memory that this process has in use beside its program, in bytes.
pub fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// A byte that depends on its place in the stream and on whose stream it is: no piece that is
/// lost, doubled or another's goes unseen.
pub fn pattern(stream: u64, place: u64) -> u8 {
    let mixed = (place ^ stream.rotate_left(40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as u8
}

/// `len` bytes of a stream, from `place` on.
pub fn bytes_of(stream: u64, place: u64, len: usize) -> Vec<u8> {
    (place..place + len as u64).map(|place| pattern(stream, place)).collect()
}

/// What an echo server has seen.
#[derive(Default)]
pub struct Log {
    pub open: Cell<usize>,
    pub accepted: Cell<usize>,
    pub bytes: Cell<u64>,
    /// Connections that have ended in the peer's good order.
    pub finished: Cell<usize>,
    /// Connections that have ended by a reset.
    pub reset: Cell<usize>,
}

pub fn count<T: Copy + From<u8> + std::ops::Add<Output = T>>(cell: &Cell<T>) {
    cell.set(cell.get() + T::from(1));
}

/// A listener at a free port of 127.0.0.1.
pub fn listener() -> (Async<TcpListener>, SocketAddr) {
    let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.get_ref().local_addr().unwrap();
    (listener, address)
}

/// Serves whoever comes, each in a task, with a buffer of `N` bytes.
pub fn echo_server<const N: usize>(listener: Async<TcpListener>, log: &Rc<Log>) -> Task<()> {
    let log = Rc::clone(log);
    spawn(async move {
        let mut incoming = listener.incoming();
        while let Some(accepted) = incoming.next().await {
            let (stream, _) = accepted.unwrap();
            count(&log.accepted);
            spawn(converse::<N>(stream, Rc::clone(&log))).detach();
        }
    })
}

async fn converse<const N: usize>(mut stream: Async<TcpStream>, log: Rc<Log>) {
    count(&log.open);
    let mut buffer = [0; N];
    let ended = loop {
        match stream.read(&mut buffer).await {
            Ok(0) => break Ok(()),
            Ok(len) => {
                if let Err(error) = stream.write_all(&buffer[..len]).await {
                    break Err(error);
                }
                log.bytes.set(log.bytes.get() + len as u64);
            }
            Err(error) => break Err(error),
        }
    };
    drop(stream);
    log.open.set(log.open.get() - 1);
    match ended {
        Ok(()) => count(&log.finished),
        Err(error) if is_reset(&error) => count(&log.reset),
        Err(error) => panic!("{error}"),
    }
}

pub fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}
