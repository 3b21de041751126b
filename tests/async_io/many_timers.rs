//! A million timers.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use selkie::{Sleep, sleep};

use crate::child::{self, role};
use crate::util::{Stepped, child};

const MILLION: u64 = 1_000_000;

/// The memory that this process has in use, in pages.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Timers that are due `after` now, or up to a millisecond later.
fn armed(stepped: &Stepped, after: Duration) -> Vec<Sleep> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut arm = |i: u64| {
        // Now an early one, now a late one.
        let mut timer = sleep(after + Duration::from_nanos(i * 7_919 % MILLION));
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
    let before = resident();
    let timers = armed(&stepped, Duration::from_secs(3600));
    assert!(stepped.next_deadline().is_some_and(|deadline| deadline > Instant::now()));
    let most = resident() - before;
    drop(timers);
    assert_eq!(stepped.next_deadline(), None);
    let left = resident().saturating_sub(before);
    assert!(left < most / 10, "{left} of {most} pages were kept");
    stepped.assert_idle();
}

#[test]
fn a_million_timers_that_are_due_at_once_fire_in_turns_that_are_bounded() {
    let stepped = Stepped::new();
    let mut timers = armed(&stepped, Duration::from_nanos(1));
    let (mut fired, mut last) = (0, None);
    while let Some(deadline) = stepped.next_deadline() {
        assert!(last <= Some(deadline), "the earliest come first");
        last = Some(deadline);
        let turn = stepped.turn(None).unwrap();
        assert!(turn.timers <= 128, "as many as polls, as the builder's documentation says");
        assert_eq!(turn.more, fired + 128 < MILLION as usize, "{fired} have fired before");
        fired += turn.timers;
    }
    assert_eq!(fired, MILLION as usize);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(timers.iter_mut().all(|timer| Pin::new(timer).poll(&mut cx).is_ready()));
}
