//! The process itself is stopped and goes on (SIGSTOP, SIGCONT), with timers and traffic under
//! way: nothing of either is lost. The monotonic clock runs on meanwhile, so that to the process
//! it jumps.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::time::{Elapsed, Interval, MissedTicks, interval_at};
use selkie::{Async, sleep, spawn, timeout};

use crate::child::role;
use crate::harness::{Log, bytes_of, echo_server, listener, run, tell};
use crate::peer::{Master, Peer};
use crate::util::backend;

loads! {
    a_process_that_was_stopped_goes_on_with_its_timers_and_its_traffic,
    a_process_that_is_stopped_again_and_again_loses_no_byte,
}

/// The period of the intervals, and how long the process is stopped: much longer.
const PERIOD: Duration = Duration::from_millis(20);
const STOPPED: Duration = Duration::from_millis(500);

/// Ticks after the stop that are looked at.
const AFTERWARDS: u32 = 5;

fn a_process_that_was_stopped_goes_on_with_its_timers_and_its_traffic() {
    match role().as_deref() {
        Some("server") => run(stopped_server()),
        _ => run(stop_once()),
    }
}

/// The process under test. It serves the echo that its master talks to while it is stopped, too.
async fn stopped_server() {
    let mut master = Master::meet();
    let (listener, address) = listener();
    let log = Rc::new(Log::default());
    let _server = echo_server::<512>(listener, &log);
    let policies = [MissedTicks::Burst, MissedTicks::Delay, MissedTicks::Skip];
    let start = Instant::now();
    let intervals = policies.map(|policy| spawn(watch(interval_at(start, PERIOD), start, policy)));
    let late = spawn(async move {
        // Due while the process is stopped, together with what it waits for: the value goes first.
        let both = timeout(STOPPED / 2, sleep(STOPPED / 4)).await;
        let never = timeout(STOPPED / 2, std::future::pending::<()>()).await;
        (both.is_ok(), never, Instant::now())
    });
    master.tell(format_args!("serving on {address}"));
    let mut missed = Vec::new();
    for interval in intervals {
        missed.push(interval.await);
    }
    let (value, elapsed, at) = late.await;
    assert!(value && elapsed == Err(Elapsed::new()) && at >= start + STOPPED / 2);
    master.tell(format_args!("missed {missed:?}"));
    // The master talks until it has had enough.
    master.hear("end").await;
    master.tell(format_args!("echoed {}", log.bytes.get()));
}

/// Ticks until some time after a gap; returns how many ticks were missed, and insists on what the
/// policy says about them.
async fn watch(interval: Interval, start: Instant, policy: MissedTicks) -> u128 {
    let mut interval = interval.missed_ticks(policy);
    let mut last = interval.tick().await;
    assert_eq!(last, start);
    // Already this one may be what the stop makes late.
    let (mut missed, mut afterwards) = (periods_since(start), 0);
    while afterwards < AFTERWARDS {
        let due = interval.tick().await;
        assert!(Instant::now() >= due, "a tick came early");
        let late = periods_since(due);
        match policy {
            MissedTicks::Burst => assert_eq!(due, last + PERIOD, "no tick is left out"),
            MissedTicks::Skip => {
                let nanos = (due - start).as_nanos();
                assert_eq!(nanos % PERIOD.as_nanos(), 0, "it stays in step");
            }
            MissedTicks::Delay => assert!(due >= last + PERIOD),
            other => unreachable!("{other:?} is not tested here"),
        }
        last = due;
        // The tick that was due in the stop comes late by most of it.
        missed = missed.max(late);
        let is_over = missed >= (STOPPED / 2).as_nanos() / PERIOD.as_nanos();
        afterwards += u32::from(is_over && late <= 1);
    }
    missed
}

fn periods_since(due: Instant) -> u128 {
    due.elapsed().as_nanos() / PERIOD.as_nanos()
}

async fn stop_once() {
    let mut server = Peer::start("server", ([127, 0, 0, 1], 0).into());
    let address: SocketAddr = server.expect("serving on ").await.parse().unwrap();
    let mut client = connect(address);
    talk(&mut client, 0);
    server.stop();
    // The kernel takes it for the process that stands still.
    client.write_all(&bytes_of(1, 1_000, 500)).unwrap();
    let others: Vec<_> = (0..20).map(|_| connect(address)).collect();
    sleep(STOPPED).await;
    server.resume();
    let mut echo = [0; 500];
    client.read_exact(&mut echo).unwrap();
    assert!(echo[..] == bytes_of(1, 1_000, 500), "other bytes");
    others.into_iter().for_each(|mut client| talk(&mut client, 7));
    let missed = server.expect("missed ").await;
    talk(&mut client, 2_000);
    drop(client);
    server.say("end");
    assert_eq!(server.expect("echoed ").await, (500 * (20 + 3)).to_string());
    server.end().await;
    tell(format_args!(
        "{}: stopped for {STOPPED:?}; periods of {PERIOD:?} that a tick was late by (burst, \
         delay, skip): {missed}; all bytes echoed",
        backend().name()
    ));
}

/// A client that blocks, but not for ever.
fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(crate::util::DEADLINE)).unwrap();
    stream
}

fn talk(client: &mut TcpStream, place: u64) {
    let message = bytes_of(1, place, 500);
    client.write_all(&message).unwrap();
    let mut echo = [0; 500];
    client.read_exact(&mut echo).unwrap();
    assert!(echo[..] == message, "other bytes at {place}");
}

/// Stops in a row, while a client sends and receives.
const STOPS: usize = 50;

fn a_process_that_is_stopped_again_and_again_loses_no_byte() {
    match role().as_deref() {
        Some("server") => run(busy_server()),
        _ => run(stop_often()),
    }
}

async fn busy_server() {
    let mut master = Master::meet();
    let (listener, address) = listener();
    let log = Rc::new(Log::default());
    let _server = echo_server::<4096>(listener, &log);
    // Timers keep it from being always in the same wait when it is stopped.
    spawn(async {
        loop {
            sleep(Duration::from_micros(300)).await;
        }
    })
    .detach();
    master.tell(format_args!("serving on {address}"));
    master.hear("end").await;
    master.tell(format_args!("echoed {}", log.bytes.get()));
}

async fn stop_often() {
    let mut server = Peer::start("server", ([127, 0, 0, 1], 0).into());
    let address: SocketAddr = server.expect("serving on ").await.parse().unwrap();
    let client = Rc::new(Async::<TcpStream>::connect(address).await.unwrap());
    let reader = Rc::clone(&client);
    let reader = spawn(async move {
        let (mut place, mut reader, mut buffer) = (0, &*reader, [0; 8192]);
        while let len @ 1.. = reader.read(&mut buffer).await.unwrap() {
            assert!(buffer[..len] == bytes_of(3, place, len), "other bytes at {place}");
            place += len as u64;
        }
        place
    });
    let is_over = Rc::new(Cell::new(false));
    let writer_is_over = Rc::clone(&is_over);
    let writer = spawn(async move {
        let (mut place, mut writer) = (0, &*client);
        for round in 0_usize.. {
            let len = 1 + round * 37 % 3_000;
            writer.write_all(&bytes_of(3, place, len)).await.unwrap();
            place += len as u64;
            if round % 50 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
            if writer_is_over.get() {
                break;
            }
        }
        writer.close().await.unwrap();
        place
    });
    for _ in 0..STOPS {
        server.stop();
        sleep(Duration::from_millis(2)).await;
        server.resume();
        sleep(Duration::from_millis(3)).await;
    }
    is_over.set(true);
    let sent = writer.await;
    assert_eq!(reader.await, sent);
    server.say("end");
    assert_eq!(server.expect("echoed ").await, sent.to_string());
    server.end().await;
    tell(format_args!("{}: stopped {STOPS} times, {sent} bytes echoed", backend().name()));
}
