//! A million timers.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use selkie::{Timer, sleep_until};

use crate::child::{self, role};
use crate::util::{Stepped, child};

const MILLION: u64 = 1_000_000;

/// The memory that this process has in use, in pages.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse().unwrap()
}

fn armed(stepped: &Stepped, start: Instant) -> Vec<Timer> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut arm = |i: u64| {
        // Now an early one, now a late one.
        let mut timer = sleep_until(start + Duration::from_millis(i * 7_919 % MILLION));
        assert!(Pin::new(&mut timer).poll(&mut cx).is_pending());
        timer
    };
    stepped.enter(|| (0..MILLION).map(&mut arm).collect())
}

#[test]
fn a_million_timers_that_are_cancelled_give_their_memory_back() {
    const NAME: &str = "many_timers::a_million_timers_that_are_cancelled_give_their_memory_back";
    if role().is_none() {
        child::run(&mut child(NAME, "arm"));
        return;
    }
    let stepped = Stepped::new();
    let start = Instant::now() + Duration::from_secs(3600);
    let before = resident();
    let timers = armed(&stepped, start);
    assert_eq!(stepped.next_deadline(), Some(start));
    let most = resident() - before;
    drop(timers);
    assert_eq!(stepped.next_deadline(), None);
    let left = resident().saturating_sub(before);
    assert!(left < most / 10, "{left} of {most} pages were kept");
    stepped.assert_idle();
}

#[test]
fn a_million_timers_that_are_due_all_fire_in_one_turn() {
    let stepped = Stepped::new();
    let start = Instant::now().checked_sub(Duration::from_secs(1_000)).unwrap();
    let mut timers = armed(&stepped, start);
    let turn = stepped.turn(None).unwrap();
    assert_eq!((turn.timers, stepped.next_deadline()), (MILLION as usize, None));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(timers.iter_mut().all(|timer| Pin::new(timer).poll(&mut cx).is_ready()));
}
