//! A back end that fails: the error reaches who drives the loop, and nothing else is lost by it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use selkie::{Async, Builder, Runtime, sleep_until, yield_now};

use crate::backends::{Probe, Probed};
use crate::util::{DEADLINE, Wakes, run_on, settle, turn_until};

fn probed() -> (Runtime, Arc<Probe>) {
    let (probe, backend) = Probed::open();
    (Builder::new().build_with(backend).unwrap(), probe)
}

fn without_edges() -> (Runtime, Arc<Probe>) {
    let (probe, backend) = Probed::without_edges();
    (Builder::new().build_with(backend).unwrap(), probe)
}

fn is_the_tests_failure(result: io::Result<impl Sized>) -> bool {
    result.is_err_and(|error| error.to_string() == "the test's failure")
}

#[test]
fn an_error_of_the_driver_is_returned_by_the_turn_and_the_next_one_works() {
    let (runtime, probe) = probed();
    probe.fail(2);
    assert!(is_the_tests_failure(runtime.turn(None)));
    assert!(is_the_tests_failure(runtime.turn(Some(Duration::ZERO))));
    assert!(runtime.turn(Some(Duration::ZERO)).is_ok());
}

#[test]
fn an_error_of_the_driver_is_returned_by_block_on_and_the_tasks_go_on_in_the_next_one() {
    let (runtime, probe) = probed();
    let (sender, receiver) = oneshot::channel();
    let task = runtime.spawn(receiver);
    probe.fail(1);
    assert!(is_the_tests_failure(runtime.try_block_on(std::future::pending::<()>())));
    run_on(&runtime, async {
        yield_now().await;
        sender.send(7).unwrap();
        assert_eq!(task.await, Ok(7));
    });
}

#[test]
fn a_driver_that_always_fails_does_not_hang_block_on() {
    let (runtime, probe) = probed();
    probe.fail(usize::MAX);
    for waits in 1..4 {
        assert!(is_the_tests_failure(runtime.try_block_on(std::future::pending::<()>())));
        assert_eq!(probe.waits(), waits);
    }
}

#[test]
fn the_value_of_a_block_on_whose_last_turn_fails_is_returned_and_the_error_by_the_next_turn() {
    let (runtime, probe) = probed();
    probe.fail(usize::MAX);
    assert_eq!(runtime.try_block_on(async { 7 }).unwrap(), 7);
    assert!(is_the_tests_failure(runtime.turn(Some(Duration::ZERO))));
    assert!(is_the_tests_failure(runtime.try_block_on(std::future::pending::<()>())));
}

#[test]
fn tasks_are_polled_though_the_driver_fails() {
    let (runtime, probe) = probed();
    probe.fail(usize::MAX);
    let task = runtime.spawn(async { yield_now().await });
    for _ in 0..3 {
        assert!(is_the_tests_failure(runtime.turn(None)));
    }
    assert!(task.is_finished());
}

#[test]
fn a_timer_that_is_due_fires_though_the_driver_fails() {
    let (runtime, probe) = probed();
    let task = runtime.spawn(sleep_until(Instant::now()));
    runtime.turn(Some(Duration::ZERO)).unwrap();
    probe.fail(usize::MAX);
    assert!(is_the_tests_failure(runtime.turn(None)));
    assert!(task.is_finished());
    assert_eq!(runtime.next_deadline(), None);
}

#[test]
fn a_wake_from_another_thread_arrives_though_the_driver_fails() {
    let (runtime, probe) = probed();
    let (sender, receiver) = oneshot::channel();
    let task = runtime.spawn(receiver);
    settle(&runtime);
    thread::spawn(move || sender.send(7)).join().unwrap().unwrap();
    probe.fail(1);
    assert!(is_the_tests_failure(runtime.turn(None)));
    assert!(task.is_finished());
    assert_eq!(run_on(&runtime, task), Ok(7));
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn an_event_that_came_before_an_error_is_delivered_after_it() {
    let (runtime, probe) = probed();
    let (mut near, far) = UnixStream::pair().unwrap();
    let far = runtime.enter(|| Async::new(far)).unwrap();
    let task = runtime.spawn(async move { far.readable().await });
    settle(&runtime);
    near.write_all(b"x").unwrap();
    probe.fail(3);
    for _ in 0..3 {
        assert!(is_the_tests_failure(runtime.turn(None)));
    }
    assert!(!task.is_finished());
    turn_until(&runtime, || task.is_finished());
}

/// A pair of which one end waits in both directions, since its buffer is full.
fn waiting_both_ways(runtime: &Runtime) -> (Async<UnixStream>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    let near = runtime.enter(|| Async::new(near)).unwrap();
    while near.get_ref().write(&[0; 4096]).is_ok() {}
    (near, far)
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_source_that_cannot_be_armed_tells_who_waits_for_it() {
    let (runtime, probe) = without_edges();
    let (near, _far) = waiting_both_ways(&runtime);
    probe.refuse(1);
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(near.poll_readable(cx).is_pending(), "armed for reading when it was registered");
    let refused = |poll| matches!(poll, Poll::Ready(Err(_)));
    assert!(refused(near.poll_writable(cx)));
    assert!(near.poll_writable(cx).is_pending(), "the next attempt works");
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_waiter_whose_direction_cannot_be_armed_again_is_woken_not_lost() {
    let (runtime, probe) = without_edges();
    let (near, mut far) = waiting_both_ways(&runtime);
    let (wakes, waker) = Wakes::new();
    let cx = &mut Context::from_waker(&waker);
    let noop = &mut Context::from_waker(Waker::noop());
    assert!(near.poll_writable(cx).is_pending() && near.poll_readable(noop).is_pending());
    far.write_all(b"x").unwrap();
    probe.refuse(1);
    let turn = runtime.turn(Some(DEADLINE)).unwrap();
    assert_eq!((turn.events, wakes.count()), (1, 1), "it was disarmed by the other's event");
    assert!(near.poll_readable(noop).is_ready());
    assert!(near.poll_writable(cx).is_pending(), "armed by the waiter that was woken");
    far.set_nonblocking(true).unwrap();
    while far.read(&mut [0; 4096]).is_ok() {}
    turn_until(&runtime, || wakes.count() == 2);
}
