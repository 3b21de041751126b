//! A clock that jumps. It is monotonic, and stands still while the machine is suspended, so what a
//! program sees of that is a wait that returns late, with much due at once. Here the back end's
//! waits do. (A process that is stopped, in `stopped`, sees the same from the real system.)

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::selector::{Backend, BackendKind, ReadyList, Until, Wrapped};
use selkie::time::{MissedTicks, interval};
use selkie::{Builder, sleep, sleep_until, spawn, timeout};

use crate::harness::{PATIENCE, bytes_of, count, tell};
use crate::util::{async_tcp_pair, backend};

loads! {
    waits_that_return_late_lose_no_timer_and_no_byte,
}

/// One wait in so many returns late, by this.
const LATE_EACH: usize = 10;
const LATE: Duration = Duration::from_millis(60);

/// Sleepers, and over how long they are spread.
const SLEEPERS: u32 = 1_000;
const SPREAD: Duration = Duration::from_secs(1);

type Inner = Box<dyn Backend + Send>;

fn open(jumps: Arc<AtomicUsize>) -> Inner {
    let mut waits = 0;
    let inner = BackendKind::from_env().and_then(BackendKind::open).unwrap();
    let wait = move |inner: &mut Inner, ready: &mut ReadyList, until: Until| {
        inner.wait(ready, until)?;
        waits += 1;
        // A wait that does not sleep is none.
        if waits % LATE_EACH == 0 && !until.is_now() {
            jumps.fetch_add(1, SeqCst);
            thread::sleep(LATE);
        }
        Ok(())
    };
    Box::new(Wrapped::new(inner, wait))
}

/// Sleepers that are due one after the other, however many of them at once.
async fn sleepers(woken: Rc<Cell<u32>>) {
    let start = Instant::now();
    let sleeper = |number| {
        let woken = Rc::clone(&woken);
        spawn(async move {
            let due = start + SPREAD * number / SLEEPERS;
            sleep_until(due).await;
            assert!(Instant::now() >= due, "{number} woke early");
            assert_eq!(woken.get(), number, "out of order");
            count(&woken);
        })
    };
    join_all((0..SLEEPERS).map(sleeper).collect::<Vec<_>>()).await;
}

/// An interval whose ticks are `after` the last one; returns how many there were.
async fn ticks(policy: MissedTicks) -> u32 {
    let period = Duration::from_millis(7);
    let mut interval = interval(period).missed_ticks(policy);
    let start = interval.tick().await;
    let (mut last, mut ticks) = (start, 0);
    while last < start + SPREAD {
        let due = interval.tick().await;
        assert!(due >= last + period && Instant::now() >= due);
        match policy {
            MissedTicks::Burst => assert_eq!(due, last + period),
            MissedTicks::Skip => assert_eq!((due - start).as_nanos() % period.as_nanos(), 0),
            _ => {}
        }
        last = due;
        ticks += 1;
    }
    ticks
}

/// A value that is there when the time is up is not lost to that. Returns how often it was tried.
async fn values_go_first() -> u32 {
    let start = Instant::now();
    let mut tries = 0;
    while start.elapsed() < SPREAD {
        // Both are due whenever the wait returns late.
        let value = timeout(Duration::from_millis(4), sleep(Duration::from_millis(2))).await;
        value.expect("the value was due first");
        tries += 1;
    }
    tries
}

async fn traffic() -> u64 {
    let (mut near, mut far) = async_tcp_pair();
    let (start, mut place) = (Instant::now(), 0);
    while start.elapsed() < SPREAD {
        let sent = bytes_of(5, place, 1_000);
        let mut received = vec![0; sent.len()];
        let both = futures::join!(near.write_all(&sent), far.read_exact(&mut received));
        both.0.and(both.1).unwrap();
        assert!(sent == received, "other bytes at {place}");
        place += sent.len() as u64;
        sleep(Duration::from_millis(1)).await;
    }
    place
}

fn waits_that_return_late_lose_no_timer_and_no_byte() {
    let jumps = Arc::new(AtomicUsize::new(0));
    let runtime = Builder::new().build_with(open(Arc::clone(&jumps))).unwrap();
    let woken = Rc::new(Cell::new(0));
    let load = async {
        let policies = [MissedTicks::Burst, MissedTicks::Delay, MissedTicks::Skip];
        let all_ticks = join_all(policies.map(|policy| spawn(ticks(policy))));
        let sleepers = sleepers(Rc::clone(&woken));
        futures::join!(sleepers, all_ticks, spawn(values_go_first()), spawn(traffic()))
    };
    let ((), ticks, tries, bytes) = runtime.block_on(timeout(PATIENCE, load)).unwrap();
    assert_eq!(woken.get(), SLEEPERS);
    assert_eq!(runtime.next_deadline(), None);
    let [burst, delay, skip] = ticks[..] else { unreachable!() };
    let in_time = u32::try_from(SPREAD.as_millis().div_ceil(7)).unwrap();
    assert_eq!(burst, in_time, "not all were made up for");
    assert!(delay < burst && skip < burst, "{ticks:?}: none was left out");
    tell(format_args!(
        "{}: {} waits late by {LATE:?}: {SLEEPERS} sleepers woken in order, {burst}, {delay} and \
         {skip} ticks (burst, delay, skip), {tries} values before their timeouts, {bytes} bytes",
        backend().name(),
        jumps.load(SeqCst)
    ));
}
