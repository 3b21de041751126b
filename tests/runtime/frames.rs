//! Turns until a deadline, and what a foreign loop asks before it sleeps or takes a turn.

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use selkie::selector::{Backend, ReadyList, Until, Wrapped, Wrapper};
use selkie::{Builder, Runtime, Turn, sleep, spawn, yield_now};

use crate::backends::{Parked, Probed};
use crate::cpu_time::thread_cpu_time;

use crate::util::{DEADLINE, run_on, runtime, settle};

const FRAME: Duration = Duration::from_millis(16);

/// A clock that stands still while there is something to do, and jumps to the end of each wait.
struct Jumping(Arc<Mutex<Instant>>);

impl<B: Backend> Wrapper<B> for Jumping {
    fn now(&self, _inner: &B) -> Instant {
        *self.0.lock().unwrap()
    }

    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        if let Until::At { deadline, .. } = until {
            let mut now = self.0.lock().unwrap();
            *now = deadline.max(*now);
        }
        inner.wait(ready, Until::Now)
    }
}

/// A runtime by a clock that is an hour fast, and jumps.
fn jumping() -> Runtime {
    let clock = Arc::new(Mutex::new(Instant::now() + Duration::from_secs(3600)));
    let backend = Wrapped { inner: Parked::open(), wrapper: Jumping(clock) };
    Builder::new().build_with(Box::new(backend)).unwrap()
}

#[test]
fn a_frame_runs_what_is_due_until_its_deadline_and_ends_then() {
    let runtime = jumping();
    let start = runtime.now();
    let ticks = runtime.spawn(async {
        for _ in 0..5 {
            sleep(FRAME / 4).await;
        }
    });
    let frame = runtime.run_until(start + FRAME).unwrap();
    assert_eq!(runtime.now(), start + FRAME);
    assert_eq!((frame.timers, frame.polls, frame.more), (4, 5, false));
    let frame = runtime.run_until(start + 2 * FRAME).unwrap();
    assert_eq!(runtime.now(), start + 2 * FRAME);
    assert_eq!((frame.timers, frame.polls, frame.more), (1, 1, false));
    assert!(ticks.is_finished());
}

#[test]
fn a_timer_beyond_the_end_of_the_frame_neither_shortens_it_nor_fires() {
    let runtime = jumping();
    let start = runtime.now();
    let task = runtime.spawn(runtime.enter(|| sleep(FRAME + Duration::from_nanos(1))));
    let frame = runtime.run_until(start + FRAME).unwrap();
    assert_eq!(runtime.now(), start + FRAME);
    assert_eq!((frame.timers, frame.polls), (0, 1));
    assert!(!task.is_finished());
    assert_eq!(runtime.next_timeout(), Some(Duration::from_nanos(1)));
}

#[test]
fn a_frame_whose_deadline_has_passed_has_one_turn() {
    let runtime = jumping();
    let start = runtime.now();
    for deadline in [start, start - FRAME] {
        let task = runtime.spawn(yield_now());
        assert_eq!(runtime.run_until(deadline).unwrap().polls, 2);
        assert!(task.is_finished());
        assert_eq!(runtime.run_until(deadline).unwrap(), Turn::default());
        assert_eq!(runtime.now(), start);
    }
}

#[test]
fn a_frame_ends_no_sooner_because_of_other_threads_and_runs_what_they_send() {
    let runtime = runtime();
    let deadline = runtime.now() + FRAME;
    let remote = runtime.remote();
    let task = thread::spawn(move || {
        remote.notify();
        remote.spawn(|| async {}).unwrap()
    });
    runtime.run_until(deadline).unwrap();
    assert!(runtime.now() >= deadline);
    // On a machine that is very busy the thread comes later.
    run_on(&runtime, task.join().unwrap());
}

#[test]
fn a_frame_with_nothing_to_do_is_slept_through() {
    let runtime = runtime();
    runtime.spawn(pending::<()>()).detach();
    settle(&runtime);
    // A busy loop is one every time; a machine that is busy itself is not.
    let work = [(); 3].map(|()| {
        let before = thread_cpu_time();
        runtime.run_until(runtime.now() + FRAME).unwrap();
        thread_cpu_time() - before
    });
    assert!(work.iter().any(|work| *work < FRAME / 4), "{work:?}");
}

#[test]
fn tasks_that_never_rest_do_not_hold_up_the_end_of_a_frame() {
    let runtime = runtime();
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    let task = runtime.spawn(async move {
        loop {
            counted.set(counted.get() + 1);
            yield_now().await;
        }
    });
    let deadline = runtime.now() + FRAME;
    let frame = runtime.run_until(deadline).unwrap();
    assert!((deadline..deadline + DEADLINE).contains(&runtime.now()));
    assert!(frame.more && frame.polls == count.get() && frame.polls > 128, "{frame:?}");
    drop(task);
    settle(&runtime);
}

#[test]
fn an_error_of_the_driver_ends_a_frame_at_once() {
    let (probe, backend) = Probed::open();
    let runtime = Builder::new().build_with(backend).unwrap();
    probe.fail(1);
    let deadline = runtime.now() + DEADLINE;
    let error = runtime.run_until(deadline).unwrap_err();
    assert_eq!(error.to_string(), "the test's failure");
    assert!(runtime.now() < deadline);
    runtime.run_until(runtime.now()).unwrap();
}

#[test]
fn a_runtime_is_running_inside_its_own_turns_alone() {
    let [one, other] = [runtime(), runtime()].map(Rc::new);
    assert!(!one.is_running());
    one.enter(|| assert!(!one.is_running()));
    let seen = |runtime: &Rc<Runtime>, other: &Rc<Runtime>| {
        let (runtime, other) = (Rc::downgrade(runtime), Rc::downgrade(other));
        async move {
            let is_running = || [&runtime, &other].map(|it| it.upgrade().unwrap().is_running());
            assert_eq!(is_running(), [true, false]);
            spawn(async {}).await;
            other.upgrade().unwrap().enter(|| assert_eq!(is_running(), [true, false]));
            is_running()
        }
    };
    assert_eq!(run_on(&one, seen(&one, &other)), [true, false]);
    let task = one.spawn(seen(&one, &other));
    one.run_until(one.now()).unwrap();
    settle(&one);
    assert!(task.is_finished() && !one.is_running());
    // And not after a turn that a panic has left.
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        one.block_on(async { std::panic::panic_any("the test's") })
    }));
    assert!(panicked.is_err() && !one.is_running());
}

#[test]
fn a_foreign_loop_may_sleep_until_the_next_deadline_unless_a_task_can_go_on() {
    let runtime = jumping();
    assert_eq!(runtime.next_timeout(), None);
    let task = runtime.spawn(runtime.enter(|| sleep(FRAME)));
    assert_eq!(runtime.next_timeout(), Some(Duration::ZERO));
    settle(&runtime);
    assert_eq!(runtime.next_timeout(), Some(FRAME));
    runtime.turn(Some(FRAME / 2)).unwrap();
    assert_eq!(runtime.next_timeout(), Some(FRAME / 2));
    runtime.remote().spawn(|| async {}).unwrap().detach();
    assert_eq!(runtime.next_timeout(), Some(Duration::ZERO));
    settle(&runtime);
    runtime.turn(runtime.next_timeout()).unwrap();
    assert!(task.is_finished());
    assert_eq!(runtime.next_timeout(), None);
}
