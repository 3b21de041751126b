//! `interval` and what it does about ticks that were missed.

use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use selkie::time::{Interval, MissedTicks, interval, interval_at};
use selkie::{sleep, timeout};

use crate::util::{Stepped, Watcher, run};

const PERIOD: Duration = Duration::from_millis(2);

#[test]
fn the_first_tick_comes_at_once_and_the_others_a_period_after_it() {
    run(async || {
        let before = Instant::now();
        let mut interval = interval(PERIOD);
        assert_eq!(interval.period(), PERIOD);
        let first = interval.tick().await;
        assert!(before <= first && first <= Instant::now());
        for i in 1..5 {
            assert_eq!(interval.tick().await, first + i * PERIOD);
            assert!(Instant::now() >= first + i * PERIOD);
        }
        assert_eq!(interval.next().await, Some(first + 5 * PERIOD), "it is a stream, too");
    });
}

#[test]
fn an_interval_may_begin_later() {
    run(async || {
        let start = Instant::now() + PERIOD;
        let mut interval = interval_at(start, PERIOD);
        assert_eq!(interval.tick().await, start);
        assert!(Instant::now() >= start);
        assert_eq!(interval.tick().await, start + PERIOD);
    });
}

/// An interval that has missed ten ticks, and is in the middle of a period.
fn late(policy: MissedTicks) -> (Instant, Interval) {
    let period = Duration::from_secs(1);
    let start = Instant::now().checked_sub(10 * period + period / 2).expect("a clock that is old");
    (start, interval_at(start, period).missed_ticks(policy))
}

/// The ticks that come at once, in units of the period, and when the next one is to come.
fn ticks(policy: MissedTicks) -> (Vec<u32>, Duration) {
    let stepped = Stepped::new();
    let (start, mut interval) = late(policy);
    let (period, watcher) = (interval.period(), Watcher::new());
    let mut ticks = Vec::new();
    loop {
        let mut tick = pin!(interval.tick());
        let mut next = stepped.poll(tick.as_mut(), &watcher);
        if next.is_pending() {
            stepped.settle();
            next = stepped.poll(tick, &watcher);
        }
        let std::task::Poll::Ready(due) = next else { break };
        let late = due - start;
        assert_eq!(late.as_nanos() % period.as_nanos(), 0);
        ticks.push((late.as_nanos() / period.as_nanos()) as u32);
    }
    (ticks, stepped.next_deadline().unwrap() - start)
}

#[test]
fn missed_ticks_are_made_up_left_out_or_begun_anew() {
    let period = Duration::from_secs(1);
    let (burst, next) = ticks(MissedTicks::Burst);
    assert_eq!((burst, next), ((0..=10).collect(), 11 * period));
    let (skip, next) = ticks(MissedTicks::Skip);
    assert_eq!((skip, next), (vec![0], 11 * period));
    let (delay, next) = ticks(MissedTicks::Delay);
    assert_eq!(delay, [0]);
    let late = 11 * period + period / 2;
    assert!(late <= next && next < late + period / 2, "{next:?}");
}

#[test]
fn a_burst_of_ticks_lets_the_others_run() {
    run(async || {
        let ended = Rc::new(std::cell::Cell::new(false));
        let flag = Rc::clone(&ended);
        let neighbour = selkie::spawn(async move {
            sleep(PERIOD).await;
            flag.set(true);
        });
        let mut interval = interval(Duration::from_nanos(1));
        while !ended.get() {
            interval.tick().await;
        }
        neighbour.await;
    });
}

#[test]
fn the_longest_period_ticks_once() {
    run(async || {
        let mut interval = interval(Duration::MAX).missed_ticks(MissedTicks::Delay);
        interval.tick().await;
        timeout(PERIOD, interval.tick()).await.unwrap_err();
    });
}

#[test]
fn a_tick_that_was_given_up_comes_all_the_same() {
    run(async || {
        // Long enough for a few polls on a busy machine.
        const PERIOD: Duration = Duration::from_millis(250);
        let mut interval = interval(PERIOD);
        let first = interval.tick().await;
        for _ in 0..3 {
            let mut tick = Box::pin(interval.tick());
            assert!(futures::poll!(tick.as_mut()).is_pending());
        }
        assert_eq!(interval.tick().await, first + PERIOD);
        let mut given_up = Box::pin(interval.tick());
        assert!(futures::poll!(given_up.as_mut()).is_pending());
        sleep(PERIOD + PERIOD / 2).await; // The tick is due, and nobody took it.
        drop(given_up);
        assert_eq!(interval.tick().await, first + 2 * PERIOD);
    });
}

#[test]
#[should_panic(expected = "an interval's period is zero")]
fn a_period_of_zero_is_refused() {
    drop(interval(Duration::ZERO));
}
