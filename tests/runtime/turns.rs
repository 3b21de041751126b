//! A turn, step by step: when it blocks and for how long, what it does, and what it says it did.

use std::cell::Cell;
use std::future::pending;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use selkie::{Async, Builder, Runtime, Timer, Turn, sleep, sleep_until, yield_now};

use crate::backends::Probed;
use crate::liar;
use crate::util::{self, DEADLINE, run_on, settle, turn_until};

const SHORT: Duration = Duration::from_millis(5);

fn runtime() -> Runtime {
    build(Builder::new())
}

/// All of these look at what each turn finds.
fn build(builder: Builder) -> Runtime {
    let _prompt = liar::only_hidden_lies("each turn is looked at");
    util::build(builder)
}

/// What a turn that may block did, and how long it took.
fn timed(runtime: &Runtime, timeout: Option<Duration>) -> (Turn, Duration) {
    let start = Instant::now();
    let turn = runtime.turn(timeout).unwrap();
    (turn, start.elapsed())
}

/// The counts of a turn that does not block.
fn counts(runtime: &Runtime) -> (usize, usize, usize, bool) {
    let Turn { events, timers, polls, more, .. } = runtime.turn(Some(Duration::ZERO)).unwrap();
    (events, timers, polls, more)
}

#[test]
fn a_turn_with_nothing_to_do_says_so() {
    let runtime = runtime();
    assert_eq!(counts(&runtime), (0, 0, 0, false));
    runtime.spawn(pending::<()>()).detach();
    assert_eq!(counts(&runtime), (0, 0, 1, false));
    assert_eq!(counts(&runtime), (0, 0, 0, false));
}

#[test]
fn a_turn_waits_its_timeout_out_and_no_longer() {
    let runtime = runtime();
    let (turn, elapsed) = timed(&runtime, Some(SHORT));
    assert_eq!(turn, Turn::default());
    assert!((SHORT..DEADLINE).contains(&elapsed), "{elapsed:?}");
}

#[test]
fn a_turn_does_not_wait_while_a_task_can_go_on() {
    let runtime = runtime();
    runtime.spawn(yield_now()).detach();
    let (turn, elapsed) = timed(&runtime, Some(DEADLINE));
    assert_eq!((turn.polls, turn.more), (2, false));
    assert!(elapsed < DEADLINE);
}

#[test]
fn a_turn_does_not_wait_for_a_task_that_a_remote_has_spawned() {
    let runtime = runtime();
    runtime.remote().spawn(|| async {}).unwrap().detach();
    assert!(runtime.has_ready_tasks());
    let (turn, elapsed) = timed(&runtime, None);
    assert_eq!((turn.polls, turn.more), (1, false));
    assert!(elapsed < DEADLINE);
}

#[test]
fn a_turn_ends_at_the_next_deadline_if_that_comes_first() {
    for timeout in [Some(Duration::MAX), Some(DEADLINE), None] {
        let runtime = runtime();
        let task = runtime.spawn(sleep(SHORT));
        runtime.turn(Some(Duration::ZERO)).unwrap();
        let deadline = runtime.next_deadline().expect("a timer is waited for");
        let (turn, elapsed) = timed(&runtime, timeout);
        assert!(elapsed < DEADLINE && Instant::now() >= deadline);
        assert_eq!((turn.timers, turn.polls, turn.more), (1, 1, false));
        assert!(task.is_finished());
        assert_eq!(runtime.next_deadline(), None);
    }
}

#[test]
fn a_turn_ends_at_its_timeout_if_that_comes_before_the_next_deadline() {
    let runtime = runtime();
    runtime.spawn(sleep(DEADLINE)).detach();
    settle(&runtime);
    let (turn, elapsed) = timed(&runtime, Some(SHORT));
    assert_eq!(turn, Turn::default());
    assert!((SHORT..DEADLINE).contains(&elapsed), "{elapsed:?}");
}

#[test]
fn a_deadline_that_has_passed_is_due_in_a_turn_that_does_not_wait() {
    let runtime = runtime();
    let tasks = [(); 3].map(|()| runtime.spawn(sleep(Duration::from_nanos(1))));
    assert_eq!(counts(&runtime), (0, 0, 3, false));
    assert!(runtime.next_deadline().is_some_and(|deadline| deadline <= Instant::now()));
    assert_eq!(counts(&runtime), (0, 3, 3, false));
    assert!(tasks.iter().all(|task| task.is_finished()));
}

#[test]
fn the_next_deadline_is_the_earliest_of_the_timers_that_are_waited_for() {
    let runtime = runtime();
    let now = Instant::now();
    let hours = [3, 1, 2].map(|hours| now + Duration::from_secs(hours * 3_600));
    let [third, first, second] = hours.map(|hour| runtime.spawn(sleep_until(hour)));
    let never = runtime.spawn(Timer::never());
    let unpolled = Timer::at(now);
    assert_eq!(runtime.next_deadline(), None, "nobody waits yet");
    settle(&runtime);
    assert_eq!(runtime.next_deadline(), Some(hours[1]));
    drop(first);
    settle(&runtime);
    assert_eq!(runtime.next_deadline(), Some(hours[2]));
    drop((second, third));
    settle(&runtime);
    assert_eq!(runtime.next_deadline(), None);
    drop((never, unpolled));
}

#[test]
fn ready_tasks_are_there_from_spawn_or_wake_to_poll() {
    let runtime = runtime();
    let (sender, receiver) = oneshot::channel();
    assert!(!runtime.has_ready_tasks());
    let task = runtime.spawn(receiver);
    assert!(runtime.has_ready_tasks());
    settle(&runtime);
    assert!(!runtime.has_ready_tasks());
    sender.send(7).unwrap();
    assert!(runtime.has_ready_tasks(), "woken on this thread, outside a turn");
    settle(&runtime);
    assert!(task.is_finished() && !runtime.has_ready_tasks());
    let text = format!("{runtime:?}");
    assert_eq!(text, "Runtime { has_ready_tasks: false, next_deadline: None, .. }");
}

#[test]
fn a_turn_polls_at_most_as_many_tasks_as_the_builder_says() {
    for (builder, most) in [
        (Builder::new(), 128),
        (Builder::new().polls_per_turn(3), 3),
        (Builder::new().polls_per_turn(1), 1),
    ] {
        let runtime = build(builder);
        (0..2 * most).for_each(|_| runtime.spawn(async {}).detach());
        assert_eq!(counts(&runtime), (0, 0, most, true));
        assert_eq!(counts(&runtime), (0, 0, most, false));
        runtime
            .spawn(async {
                loop {
                    yield_now().await;
                }
            })
            .detach();
        assert_eq!(counts(&runtime), (0, 0, most, true));
    }
}

/// Sources that have been readable since before the turn.
fn readable(runtime: &Runtime, count: usize) -> Vec<(Async<UnixStream>, UnixStream)> {
    let ready = || {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"x").unwrap();
        (Async::new(near).unwrap(), far)
    };
    runtime.enter(|| (0..count).map(|_| ready()).collect())
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_turn_counts_the_sources_that_had_events() {
    let _truth = liar::no_lies("what is told twice is counted twice");
    let runtime = runtime();
    let sources = readable(&runtime, 5);
    assert_eq!(counts(&runtime), (5, 0, 0, false));
    drop(sources);
    settle(&runtime);
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_turn_that_finds_events_and_ready_tasks_fires_the_timers_that_are_due() {
    let _truth = liar::no_lies("what is told twice is counted twice");
    let runtime = runtime();
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = runtime.enter(|| Async::new(near)).unwrap();
    let reader = runtime.spawn(async move { near.readable().await });
    settle(&runtime);
    let timer = runtime.spawn(sleep(Duration::from_nanos(1)));
    assert_eq!(counts(&runtime), (0, 0, 1, false));
    far.write_all(b"x").unwrap();
    let ready = runtime.spawn(async {});
    assert_eq!(counts(&runtime), (1, 1, 3, false));
    assert!(reader.is_finished() && timer.is_finished() && ready.is_finished());
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_turn_takes_at_most_as_many_events_as_the_builder_says() {
    let _truth = liar::no_lies("what is told twice is counted twice");
    for capacity in [1, 2, 3] {
        let builder = Builder::new().event_capacity(capacity);
        let runtime = build(builder);
        let _sources = readable(&runtime, 6);
        for _ in 0..6 / capacity {
            assert_eq!(counts(&runtime).0, capacity);
        }
        settle(&runtime);
    }
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_turn_that_waits_for_ever_ends_with_an_event() {
    let _truth = liar::no_lies("what is told twice is counted twice");
    let runtime = runtime();
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = runtime.enter(|| Async::new(near)).unwrap();
    let task = runtime.spawn(async move { near.readable().await });
    settle(&runtime);
    let writer = thread::spawn(move || {
        far.write_all(b"x").unwrap();
        far
    });
    let turn = runtime.turn(None).unwrap();
    assert_eq!((turn.events, turn.polls), (1, 1));
    assert!(task.is_finished());
    writer.join().unwrap();
}

#[test]
fn a_notification_ends_a_turn_that_waits_for_ever() {
    let runtime = runtime();
    let remote = runtime.remote();
    let notifier = thread::spawn(move || remote.notify());
    assert_eq!(runtime.turn(None).unwrap(), Turn::default());
    notifier.join().unwrap();
}

#[test]
fn a_notification_between_turns_ends_the_next_one_and_no_other() {
    let runtime = runtime();
    (0..3).for_each(|_| runtime.remote().notify());
    assert_eq!(runtime.turn(None).unwrap(), Turn::default());
    let (_, elapsed) = timed(&runtime, Some(SHORT));
    assert!(elapsed >= SHORT, "it ended another turn after {elapsed:?}");
}

#[test]
fn a_notification_inside_a_turn_ends_the_next_one() {
    let runtime = runtime();
    let remote = runtime.remote();
    runtime.spawn(async move { remote.notify() }).detach();
    assert_eq!(counts(&runtime), (0, 0, 1, false));
    assert!(timed(&runtime, Some(DEADLINE)).1 < DEADLINE);
}

#[test]
fn a_notification_ends_a_wait_of_block_on_but_not_the_block_on() {
    let runtime = runtime();
    let remote = runtime.remote();
    let (sender, receiver) = oneshot::channel();
    let notifier = thread::spawn(move || {
        (0..1_000).for_each(|_| remote.notify());
        sender.send(7).unwrap();
    });
    assert_eq!(run_on(&runtime, receiver), Ok(7));
    notifier.join().unwrap();
}

#[test]
fn turns_and_block_on_can_be_mixed() {
    let runtime = runtime();
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    let task = runtime.spawn(async move {
        for _ in 0..4 {
            counted.set(counted.get() + 1);
            sleep(Duration::from_millis(1)).await;
        }
    });
    runtime.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(count.get(), 1);
    run_on(&runtime, async {
        while count.get() < 3 {
            yield_now().await;
        }
    });
    turn_until(&runtime, || task.is_finished());
    assert_eq!(count.get(), 4);
}

#[test]
#[cfg_attr(any(feature = "record", feature = "tracing"), ignore = "polls are watched then")]
fn a_turn_reads_the_clock_twice_at_most_and_not_at_all_without_timers() {
    let (probe, backend) = Probed::open();
    let runtime = Builder::new().build_with(backend).unwrap();
    let readings = |timeout: Option<Duration>| {
        let before = probe.clock_readings();
        runtime.turn(timeout).unwrap();
        probe.clock_readings() - before
    };
    assert_eq!(readings(Some(Duration::ZERO)), 0);
    assert!(readings(Some(Duration::from_millis(1))) <= 2);
    let _waits = runtime.spawn(sleep(DEADLINE));
    runtime.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(readings(Some(Duration::ZERO)), 1);
    assert!(readings(Some(Duration::from_millis(1))) <= 2);
    let _soon = runtime.spawn(sleep(Duration::from_millis(1)));
    runtime.turn(Some(Duration::ZERO)).unwrap();
    assert!(readings(None) <= 2);
}
