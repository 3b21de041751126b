//! Everything at once for as long as one likes: connections that come, talk, wait, give up
//! half-way, and go in either way; timers; tasks and wakes from other threads.

use std::cell::Cell;
use std::env;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, Remote, Runtime, sleep, spawn, timeout, yield_now};
use socket2::SockRef;

use crate::harness::{
    Log, PATIENCE, bytes_of, count, echo_server, listener, memory, pattern, tell, until,
};
use crate::util::{backend, open_descriptors};

loads! {
    a_soak_of_everything_at_once_leaves_nothing_behind,
}

/// How long, on all four back ends together. Seconds.
const SECONDS: &str = "SELKIE_SOAK_SECONDS";

/// Clients at a time.
const CLIENTS: u64 = 40;

/// Threads that spawn tasks on the loop and await them.
const THREADS: usize = 2;

/// Memory that may be there at the end and was not a quarter of the time in. Bytes.
const SLACK: usize = 1024 * 1024;

fn duration() -> Duration {
    let seconds = env::var(SECONDS).map_or(10.0, |seconds| seconds.parse().unwrap());
    Duration::from_secs_f64(seconds / 4.0)
}

/// Numbers that look random, the same in each run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What was done.
#[derive(Default)]
struct Done {
    visits: Cell<usize>,
    given_up: Cell<usize>,
    bytes: Cell<u64>,
}

/// Takes the echo of what is sent at the same time. Some reads are given up half-way, and begun
/// anew: that must not lose a byte.
async fn exchange(
    stream: &Async<TcpStream>,
    dice: &mut Dice,
    id: u64,
    done: &Done,
) -> io::Result<()> {
    let magnitude = 1 + dice.below(16);
    let len = 1 + dice.below(1 << magnitude) as usize;
    let message = bytes_of(id, 0, len);
    let mut writer = stream;
    let send = async { writer.write_all(&message).await };
    let receive = async {
        let (mut reader, mut place, mut buffer) = (stream, 0_usize, [0; 4096]);
        while place < len {
            let patience = Duration::from_micros(dice.below(2_000));
            let Ok(read) = timeout(patience, reader.read(&mut buffer)).await else {
                count(&done.given_up);
                continue;
            };
            let read = read?;
            assert_ne!(read, 0, "{id}: hung up at {place} of {len}");
            for byte in &buffer[..read] {
                assert_eq!(*byte, pattern(id, place as u64), "{id} at {place} of {len}");
                place += 1;
            }
        }
        Ok(())
    };
    futures::try_join!(send, receive)?;
    done.bytes.set(done.bytes.get() + len as u64);
    Ok(())
}

async fn visit(server: SocketAddr, dice: &mut Dice, id: u64, done: &Done) -> io::Result<()> {
    let mut stream = Async::<TcpStream>::connect(server).await?;
    for round in 0..1 + dice.below(5) {
        exchange(&stream, dice, id * 8 + round, done).await?;
        match dice.below(3) {
            0 => sleep(Duration::from_micros(dice.below(3_000))).await,
            1 => yield_now().await,
            _ => {}
        }
    }
    // A port is kept busy for a minute by a good-bye.
    if dice.below(20) == 0 {
        stream.close().await?;
        assert_eq!(stream.read(&mut [0; 8]).await?, 0);
    } else {
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    }
    count(&done.visits);
    Ok(())
}

async fn have_visitors(server: SocketAddr, seed: u64, end: Instant, done: &Rc<Done>) {
    let client = |number: u64| {
        let (mut dice, done) =
            (Dice(seed ^ (number + 1).wrapping_mul(0x9E37_79B9)), Rc::clone(done));
        spawn(async move {
            let mut id = number;
            while Instant::now() < end {
                visit(server, &mut dice, id, &done).await?;
                id += CLIENTS;
            }
            io::Result::Ok(())
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    try_join_all(clients).await.unwrap();
}

/// Spawns tasks from another thread, each of which yields or sleeps, until told to stop.
fn intrude(remote: Remote, is_over: Arc<AtomicBool>) -> JoinHandle<u64> {
    thread::spawn(move || {
        let mut count = 0;
        while !is_over.load(SeqCst) {
            let task = remote.spawn(move || async move {
                match count % 3 {
                    0 => yield_now().await,
                    1 => sleep(Duration::from_micros(100)).await,
                    _ => {}
                }
                count
            });
            assert_eq!(futures::executor::block_on(task.unwrap()), count);
            count += 1;
        }
        count
    })
}

fn a_soak_of_everything_at_once_leaves_nothing_behind() {
    let runtime = Runtime::new().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let threads = [(); THREADS].map(|()| intrude(runtime.remote(), Arc::clone(&is_over)));
    let (done, log) = (Rc::new(Done::default()), Rc::new(Log::default()));
    let load = async {
        let (listener, address) = listener();
        let _server = echo_server::<1024>(listener, &log);
        let descriptors = open_descriptors();
        let are_gone = || log.finished.get() + log.reset.get() == done.visits.get();
        let start = Instant::now();
        have_visitors(address, 1, start + duration() / 4, &done).await;
        until(are_gone).await;
        let before = memory();
        have_visitors(address, 2, start + duration(), &done).await;
        until(are_gone).await;
        assert_eq!((open_descriptors(), log.open.get()), (descriptors, 0));
        let grown = memory().saturating_sub(before);
        assert!(grown < SLACK, "{grown} bytes stayed");
        is_over.store(true, SeqCst);
        until(|| threads.iter().all(JoinHandle::is_finished)).await;
        grown
    };
    let grown = runtime.block_on(timeout(PATIENCE + duration(), load)).unwrap();
    let remote: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(log.bytes.get(), done.bytes.get());
    assert_eq!(log.accepted.get(), done.visits.get());
    assert_eq!(runtime.next_deadline(), None);
    // The server, which was cancelled, goes in the next turn. Then there is nothing.
    runtime.turn(Some(Duration::ZERO)).unwrap();
    assert!(runtime.turn(Some(Duration::ZERO)).unwrap().is_idle());
    assert!(done.visits.get() > 0 && done.given_up.get() > 0 && remote > 0);
    tell(format_args!(
        "{}: {:?} of everything: {} connections, {} bytes echoed, {} reads given up and begun \
         anew, {remote} tasks from other threads; memory grew by {grown} bytes",
        backend().name(),
        duration(),
        done.visits.get(),
        log.bytes.get(),
        done.given_up.get()
    ));
}
