//! What a runtime does in each of the loops: timers, I/O, wakes from another thread, nothing at
//! all for a second.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::{AsyncReadExt, AsyncWriteExt};
use rustix::time::{ClockId, clock_gettime};
use selkie::{Async, Remote, sleep, spawn};

use crate::check::Turns;

const TIMERS: usize = 10;
const ECHOES: usize = 100;

/// Wakes by another thread, whose median counts.
const WAKES: usize = 301;

/// How long the thread waits before it wakes, so that the loop is asleep by then.
const NAP: Duration = Duration::from_micros(200);

/// What was done.
pub(crate) struct Done {
    pub(crate) timers: usize,
    pub(crate) echoes: usize,
    pub(crate) wakes: usize,
    pub(crate) threads: usize,
    pub(crate) idle_turns: usize,
    pub(crate) idle_work: Duration,
    pub(crate) wake: Duration,
}

/// All of it; `called` comes from a callback of the foreign loop.
///
/// # Panics
/// If anything goes wrong.
pub(crate) async fn all(turns: &Turns, called: oneshot::Receiver<()>) -> Done {
    let timers = time().await;
    let echoes = echo().await;
    from_another_thread().await;
    called.await.expect("the callback is called");
    let (threads, idle_turns, idle_work) = idle(turns).await;
    Done { timers, echoes, wakes: WAKES, threads, idle_turns, idle_work, wake: wake().await }
}

async fn time() -> usize {
    for _ in 0..TIMERS {
        let (start, length) = (Instant::now(), Duration::from_millis(2));
        sleep(length).await;
        assert!(start.elapsed() >= length, "a timer was early");
    }
    TIMERS
}

async fn echo() -> usize {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).expect("a port");
    let address = listener.local_addr().expect("a bound listener has an address");
    let server = spawn(async move {
        let (stream, _peer) = listener.accept().await.expect("a client");
        futures::io::copy(&stream, &mut &stream).await
    });
    let mut client = Async::<TcpStream>::connect(address).await.expect("a connection");
    for number in 0..ECHOES {
        let (sent, mut received) = ([number as u8; 64], [0; 64]);
        client.write_all(&sent).await.expect("the server reads");
        client.read_exact(&mut received).await.expect("the server echoes");
        assert_eq!(sent, received);
    }
    client.close().await.expect("the write side can be closed");
    server.await.expect("the server ends well");
    ECHOES
}

/// A task that another thread spawns, and whose value it gets.
async fn from_another_thread() {
    let (remote, (sender, receiver)) = (Remote::current(), oneshot::channel());
    let thread = thread::spawn(move || {
        let home = thread::current().id();
        let task = remote.spawn(move || async move {
            assert_ne!(thread::current().id(), home);
            sender.send(()).expect("it is waited for");
        });
        task.expect("the runtime is there").detach();
    });
    receiver.await.expect("the task is run");
    thread.join().expect("the thread ends well");
}

/// A second in which nothing happens, with a source and a timer that wait all the while.
async fn idle(turns: &Turns) -> (usize, usize, Duration) {
    let (silent, _peer) = UnixStream::pair().expect("two descriptors");
    let mut silent = Async::new(silent).expect("a source");
    let _reads = spawn(async move { silent.read(&mut [0; 1]).await.map(drop) });
    let _sleeps = spawn(sleep(Duration::from_secs(3600)));
    sleep(Duration::from_millis(10)).await;
    let before = (turns.count(), work());
    sleep(Duration::from_secs(1)).await;
    (threads(), turns.count() - before.0, work() - before.1)
}

/// The median time from a wake by another thread to the poll of the task, while the loop sleeps.
pub(crate) async fn wake() -> Duration {
    let (requests, received) = mpsc::channel::<oneshot::Sender<Instant>>();
    let thread = thread::spawn(move || {
        for request in received {
            thread::sleep(NAP);
            request.send(Instant::now()).expect("it is waited for");
        }
    });
    let mut latencies = Vec::new();
    for _ in 0..WAKES {
        let (sender, receiver) = oneshot::channel();
        requests.send(sender).expect("the thread goes on");
        latencies.push(receiver.await.expect("the thread answers").elapsed());
    }
    drop(requests);
    thread.join().expect("the thread ends well");
    latencies.sort_unstable();
    latencies[WAKES / 2]
}

/// The processor time that this process has used.
fn work() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("not negative")
}

/// How many threads the process has.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}
