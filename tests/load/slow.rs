//! A client that sends a byte now and then, beside others that send without end.

use std::cell::Cell;
use std::net::TcpStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, Runtime, interval, spawn};

use crate::harness::{Log, PATIENCE, count, echo_server, listener, pattern, tell};
use crate::util::{Stepped, backend};

loads! {
    every_byte_of_a_slow_client_comes_back_at_once_beside_a_firehose,
}

/// Bytes that the slow client sends, and how long it waits before each. A second would do as well,
/// and take longer.
const BYTES: usize = 30;
const PAUSE: Duration = Duration::from_millis(50);

/// Connections that send without end, and the size of their writes.
const HOSES: u64 = 8;
const CHUNK: usize = 4 * 1024;

/// Turns of the loop that an echo takes: one in which the server sees the byte and sends it back,
/// one in which the client sees the echo, and one more for each who may have been put off, for
/// want of polls in that turn.
const MOST_TURNS: usize = 4;

/// What the hoses may have meanwhile. In a turn, a task makes at most 32 operations in a poll, of
/// which each four count as one of the turn's 128 polls: no more than 16 such polls. Bytes.
const MOST_BESIDE: u64 = (MOST_TURNS * 16 * 32 * CHUNK) as u64;

/// Writes without end.
async fn pour(stream: Rc<Async<TcpStream>>, number: u64) {
    let (mut place, mut stream) = (0, &*stream);
    loop {
        let mut chunk = [0; CHUNK];
        (place..).zip(&mut chunk).for_each(|(place, byte)| *byte = pattern(number, place));
        stream.write_all(&chunk).await.unwrap();
        place += CHUNK as u64;
    }
}

/// Compares the echo.
async fn drink(stream: Rc<Async<TcpStream>>, number: u64, drunk: Rc<Cell<u64>>) {
    let (mut place, mut stream) = (0, &*stream);
    loop {
        let mut chunk = [0; CHUNK];
        let len = stream.read(&mut chunk).await.unwrap();
        assert_ne!(len, 0, "the server has hung up");
        for byte in &chunk[..len] {
            assert_eq!(*byte, pattern(number, place), "hose {number} at {place}");
            place += 1;
        }
        drunk.set(drunk.get() + len as u64);
    }
}

/// What the slow client has seen.
#[derive(Default)]
struct Echoes {
    turn: Cell<usize>,
    count: Cell<usize>,
    most_turns: Cell<usize>,
    drunk: Rc<Cell<u64>>,
    /// The least and the most that the hoses had during one echo, in bytes.
    beside: Cell<(u64, u64)>,
}

async fn send_slowly(mut stream: Async<TcpStream>, echoes: Rc<Echoes>) {
    let mut pauses = interval(PAUSE);
    echoes.beside.set((u64::MAX, 0));
    for byte in 0..BYTES as u8 {
        let due = pauses.tick().await;
        assert!(Instant::now() >= due, "a tick came early");
        stream.write_all(&[byte]).await.unwrap();
        let (turn, drunk) = (echoes.turn.get(), echoes.drunk.get());
        let mut echo = [0; 2];
        assert_eq!(stream.read(&mut echo).await.unwrap(), 1);
        assert_eq!(echo[0], byte);
        count(&echoes.count);
        let (least, most) = echoes.beside.get();
        let beside = echoes.drunk.get() - drunk;
        echoes.beside.set((least.min(beside), most.max(beside)));
        echoes.most_turns.set(echoes.most_turns.get().max(echoes.turn.get() - turn));
    }
}

fn start(runtime: &Runtime, echoes: &Rc<Echoes>) {
    let echoes = Rc::clone(echoes);
    let all = async move {
        let (listener, address) = listener();
        echo_server::<CHUNK>(listener, &Rc::new(Log::default())).detach();
        for number in 0..HOSES {
            let hose = Rc::new(Async::<TcpStream>::connect(address).await.unwrap());
            spawn(pour(Rc::clone(&hose), number)).detach();
            spawn(drink(hose, number, Rc::clone(&echoes.drunk))).detach();
        }
        let slow = Async::<TcpStream>::connect(address).await.unwrap();
        slow.set_nodelay(true).unwrap();
        spawn(send_slowly(slow, echoes)).detach();
    };
    runtime.spawn(all).detach();
}

fn every_byte_of_a_slow_client_comes_back_at_once_beside_a_firehose() {
    let stepped = Stepped::new();
    let echoes = Rc::new(Echoes::default());
    start(&stepped, &echoes);
    let begun = Instant::now();
    while echoes.count.get() < BYTES {
        assert!(begun.elapsed() < PATIENCE, "{} of {BYTES} echoes", echoes.count.get());
        stepped.turn(None).unwrap();
        count(&echoes.turn);
    }
    let beside = echoes.beside.get();
    assert!(beside.1 <= MOST_BESIDE, "during an echo, the hoses had {} bytes", beside.1);
    let (most, drunk, turns) = (echoes.most_turns.get(), echoes.drunk.get(), echoes.turn.get());
    assert!(most <= MOST_TURNS, "an echo took {most} turns");
    assert!(drunk > HOSES * 1024 * 1024, "the hoses had only {drunk} bytes");
    tell(format_args!(
        "{}: {BYTES} single bytes echoed within {most} turns each, beside {HOSES} hoses that had \
         {drunk} bytes in {turns} turns ({} to {} during an echo)",
        backend().name(),
        beside.0,
        beside.1
    ));
}
