//! Deadlines as a foreign loop sees them: by the descriptor if the runtime was built with a timer
//! descriptor, and else not at all.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use selkie::{Builder, Timer, Turn, sleep, sleep_until};

use crate::descriptor::{assert_quiet, on_each, on_each_built};
use crate::util::{Bomb, DEADLINE, is_readable, panic_text, settle, wait_until_readable};

fn with_alarm() -> Builder {
    Builder::new().timer_fd(true)
}

#[test]
fn without_a_timer_descriptor_a_deadline_does_not_make_it_readable() {
    on_each(|runtime| {
        let task = runtime.spawn(sleep(Duration::from_nanos(1)));
        runtime.turn(Some(Duration::ZERO)).unwrap();
        assert!(!is_readable(&runtime));
        assert!(runtime.next_deadline().is_some_and(|deadline| deadline <= Instant::now()));
        settle(&runtime);
        assert!(task.is_finished());
    });
}

#[test]
fn a_timer_of_a_task_makes_it_readable() {
    on_each_built(with_alarm(), |runtime| {
        let task = runtime.spawn(async {
            for _ in 0..3 {
                sleep(Duration::from_millis(1)).await;
            }
        });
        while !task.is_finished() {
            runtime.turn(Some(Duration::ZERO)).unwrap();
            if let Some(deadline) = runtime.next_deadline() {
                wait_until_readable(&runtime);
                assert!(Instant::now() >= deadline, "too early");
            }
        }
        assert_quiet(&runtime);
    });
}

#[test]
fn a_timer_made_between_turns_makes_it_readable() {
    on_each_built(with_alarm(), |runtime| {
        assert_quiet(&runtime);
        let mut cx = Context::from_waker(Waker::noop());
        for after in [Duration::from_nanos(1), Duration::from_millis(2)] {
            let mut timer = Timer::after(after);
            assert!(runtime.enter(|| Pin::new(&mut timer).poll(&mut cx)).is_pending());
            wait_until_readable(&runtime);
            assert_eq!(runtime.turn(Some(Duration::ZERO)).unwrap().timers, 1);
            assert_quiet(&runtime);
        }
    });
}

#[test]
fn an_earlier_timer_made_between_turns_is_not_hidden_by_a_later_one() {
    on_each_built(with_alarm(), |runtime| {
        runtime.spawn(sleep(DEADLINE)).detach();
        assert_quiet(&runtime);
        let mut cx = Context::from_waker(Waker::noop());
        let mut timer = Timer::after(Duration::from_millis(1));
        assert!(runtime.enter(|| Pin::new(&mut timer).poll(&mut cx)).is_pending());
        wait_until_readable(&runtime);
        assert_eq!(runtime.turn(Some(Duration::ZERO)).unwrap().timers, 1);
        assert_quiet(&runtime);
    });
}

#[test]
fn a_timer_that_is_dropped_makes_it_readable_at_most_once() {
    on_each_built(with_alarm(), |runtime| {
        let mut timer = Timer::after(Duration::from_millis(1));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(runtime.enter(|| Pin::new(&mut timer).poll(&mut cx)).is_pending());
        let deadline = runtime.next_deadline().unwrap();
        drop(timer);
        while Instant::now() <= deadline {
            thread::yield_now();
        }
        assert_eq!(runtime.turn(Some(Duration::ZERO)).unwrap(), Turn::default());
        assert!(!is_readable(&runtime));
    });
}

#[test]
fn timers_of_one_deadline_and_timers_after_them_all_make_it_readable() {
    on_each_built(with_alarm(), |runtime| {
        let start = Instant::now();
        let at = |millis| sleep_until(start + Duration::from_millis(millis));
        let tasks = [1, 1, 2, 2, 3, 86_400_000].map(|millis| runtime.spawn(at(millis)));
        while !tasks[..5].iter().all(|task| task.is_finished()) {
            runtime.turn(Some(Duration::ZERO)).unwrap();
            if !runtime.has_ready_tasks() && tasks[..5].iter().any(|task| !task.is_finished()) {
                wait_until_readable(&runtime);
            }
        }
        assert_quiet(&runtime);
    });
}

#[test]
fn after_a_turn_that_a_panic_has_left_a_new_timer_still_makes_it_readable() {
    on_each_built(with_alarm(), |runtime| {
        let bomb = Bomb::waker();
        let mut cx = Context::from_waker(&bomb);
        let mut panics = Timer::after(Duration::from_nanos(1));
        assert!(runtime.enter(|| Pin::new(&mut panics).poll(&mut cx)).is_pending());
        assert_eq!(panic_text(|| runtime.turn(Some(DEADLINE))), "the waker's panic");
        let mut timer = Timer::after(Duration::from_millis(1));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(runtime.enter(|| Pin::new(&mut timer).poll(&mut cx)).is_pending());
        wait_until_readable(&runtime);
        assert_eq!(runtime.turn(Some(Duration::ZERO)).unwrap().timers, 1);
        assert_quiet(&runtime);
    });
}

#[test]
fn timers_that_a_turn_had_no_room_for_make_it_readable() {
    on_each_built(Builder::new().polls_per_turn(2), |runtime| {
        let mut cx = Context::from_waker(Waker::noop());
        let mut timers = [(); 5].map(|()| Timer::after(Duration::from_nanos(1)));
        for timer in &mut timers {
            assert!(runtime.enter(|| Pin::new(timer).poll(&mut cx)).is_pending());
        }
        let mut fired = 0;
        while fired < 5 {
            let turn = runtime.turn(Some(Duration::ZERO)).unwrap();
            fired += turn.timers;
            assert_eq!((turn.timers <= 2, turn.more), (true, fired < 5));
            assert_eq!(is_readable(&runtime), fired < 5);
        }
    });
}
