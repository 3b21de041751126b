//! A million timers, again and again. (Once each, in every run of the suite, they are in
//! `tests/async_io/many_timers.rs`.) On one back end: the queue knows none.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use selkie::{Sleep, sleep_until, spawn, timeout};

use crate::harness::{count, memory, run, tell, until};
use crate::util::{Stepped, backend};

loads! {
    on [epoll]
    a_million_timers_cancelled_in_any_order_give_their_memory_back,
    every_one_of_many_sleepers_wakes_once_in_order_and_none_early,
}

const MILLION: usize = 1_000_000;

/// Places in another order: 7,919 is prime to a million.
fn scattered(place: usize) -> usize {
    place * 7_919 % MILLION
}

fn armed(stepped: &Stepped, start: Instant) -> Vec<Option<Sleep>> {
    let mut cx = Context::from_waker(Waker::noop());
    let arm = |i| {
        let mut timer = sleep_until(start + Duration::from_millis(scattered(i) as u64));
        assert!(Pin::new(&mut timer).poll(&mut cx).is_pending());
        Some(timer)
    };
    stepped.enter(|| (0..MILLION).map(arm).collect())
}

/// In what order they are cancelled.
const ORDERS: [fn(usize) -> usize; 4] =
    [|place| place, |place| MILLION - 1 - place, scattered, |place| scattered(scattered(place))];

fn a_million_timers_cancelled_in_any_order_give_their_memory_back() {
    let stepped = Stepped::new();
    let start = Instant::now() + Duration::from_secs(3600);
    let before = memory();
    let mut most = 0;
    for order in ORDERS {
        let mut timers = armed(&stepped, start);
        assert_eq!(stepped.next_deadline(), Some(start));
        most = most.max(memory() - before);
        for place in (0..MILLION).map(order) {
            drop(timers[place].take().expect("each is cancelled once"));
        }
        drop(timers);
        assert_eq!(stepped.next_deadline(), None);
        let left = memory().saturating_sub(before);
        assert!(left < most / 20, "{left} of {most} bytes were kept");
    }
    stepped.assert_idle();
    tell(format_args!(
        "{}: {} timers armed and cancelled in {} orders, {} B each at most, {} KiB kept",
        backend().name(),
        ORDERS.len() * MILLION,
        ORDERS.len(),
        most / MILLION,
        memory().saturating_sub(before) / 1024
    ));
}

/// Tasks that sleep, each until a time of its own.
const SLEEPERS: usize = 200_000;

/// Over how long they are spread.
const SPREAD: Duration = Duration::from_millis(1_500);

fn every_one_of_many_sleepers_wakes_once_in_order_and_none_early() {
    run(async {
        let woken = Rc::new(Cell::new(0_usize));
        let start = Instant::now() + Duration::from_millis(500);
        let last = Rc::new(Cell::new(start));
        for number in 0..SLEEPERS {
            let due = start + SPREAD * scattered(number) as u32 / MILLION as u32;
            let (woken, last) = (Rc::clone(&woken), Rc::clone(&last));
            spawn(async move {
                // On a very busy machine some begin to sleep too late to be woken in order.
                let is_in_time = Instant::now() < start;
                sleep_until(due).await;
                assert!(Instant::now() >= due, "{number} woke early");
                assert!(!is_in_time || last.replace(due) <= due, "{number} woke out of order");
                count(&woken);
            })
            .detach();
        }
        // As many that are dropped before they are due, since what they wait for is there.
        for _ in 0..SLEEPERS {
            timeout(Duration::from_secs(3600), async {}).await.unwrap();
        }
        sleep_until(start + SPREAD).await;
        until(|| woken.get() == SLEEPERS).await;
        tell(format_args!("{}: {SLEEPERS} sleepers woken in order", backend().name()));
    });
}
