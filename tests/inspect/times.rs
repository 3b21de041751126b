//! How long polls take, which are slow, and which one runs just now.

use std::cell::Cell;
use std::future::pending;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use futures::AsyncReadExt;
use selkie::inspect::{SlowPoll, Wait};
use selkie::selector::{Backend, BackendKind, Wrapped, Wrapper};
use selkie::{Async, Builder, Runtime, Task, sleep, yield_now};

use crate::util::{DEADLINE, build, panic_text, run_on, runtime, settle};

/// What counts as slow here, and how long the slow ones sleep.
const LIMIT: Duration = Duration::from_millis(10);

type Told = Arc<Mutex<Vec<SlowPoll>>>;

/// Settings of a runtime that keeps what it is told of slow polls.
fn telling(limit: Duration) -> (Builder, Told) {
    let told = Told::default();
    let keeps = Arc::clone(&told);
    let hook = move |slow: &SlowPoll| keeps.lock().unwrap().push(slow.clone());
    (Builder::new().slow_poll(limit, hook), told)
}

#[test]
fn a_slow_poll_is_told_with_its_task_and_who_was_kept_waiting_on_every_back_end() {
    for kind in BackendKind::ALL {
        let (builder, told) = telling(LIMIT);
        let runtime = builder.backend(*kind).build().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut near = runtime.enter(|| Async::new(near).unwrap());
        let reader = runtime.spawn(async move { near.read(&mut [0]).await });
        runtime.turn(Some(Duration::ZERO)).unwrap();
        told.lock().unwrap().clear();
        let line = line!() + 1;
        let blocks = runtime.spawn_named("blocks", async move {
            selkie::spawn(async {}).detach();
            far.write_all(&[0]).unwrap();
            let mut timer = pin!(sleep(LIMIT / 10));
            assert!(futures::poll!(&mut timer).is_pending());
            thread::sleep(LIMIT);
            timer.await;
            far
        });
        let id = blocks.id();
        run_on(&runtime, async { (blocks.await, reader.await.unwrap()) });
        let told = told.lock().unwrap();
        // On a busy machine others may be slow, too.
        let slow = told.iter().find(|slow| slow.id == id).expect("it is told");
        assert_eq!(slow.name.as_deref(), Some("blocks"));
        assert_eq!((slow.spawned_at.file(), slow.spawned_at.line()), (file!(), line));
        assert!(slow.took >= LIMIT, "{slow:?}");
        assert_eq!(slow.ready_sources, 1, "{slow:?}");
        assert!(slow.ready_tasks >= 1, "{slow:?}");
        assert!(slow.overdue.is_some(), "{slow:?}");
        let text = slow.to_string();
        let start = format!("task {id} (blocks) of {}:{line} was polled for ", file!());
        assert!(text.starts_with(&start), "{text}");
        assert!(text.ends_with(" late"), "{text}");
    }
}

#[test]
fn a_hook_may_look_spawn_and_panic_and_nobody_runs_meanwhile() {
    let spawned = Arc::new(Mutex::new(None));
    let place = Arc::clone(&spawned);
    let hook = move |slow: &SlowPoll| {
        let tasks = selkie::inspect::tasks();
        let running = tasks.iter().any(|task| task.state == selkie::task::TaskState::Running);
        assert!(!running, "{tasks}");
        if slow.name.as_deref() == Some("panics") {
            panic!("on purpose");
        }
        if slow.name.is_some() {
            *place.lock().unwrap() = Some(tasks.len());
            selkie::spawn(async {}).detach();
        }
    };
    let runtime = build(Builder::new().slow_poll(LIMIT, hook));
    runtime.spawn_named("ends", async { thread::sleep(LIMIT) }).detach();
    settle(&runtime);
    assert_eq!(*spawned.lock().unwrap(), Some(0), "the task had ended");
    runtime.spawn_named("panics", async { thread::sleep(LIMIT) }).detach();
    assert_eq!(panic_text(|| settle(&runtime)), "on purpose");
    assert_eq!(run_on(&runtime, async { 42 }), 42, "the runtime goes on");
}

#[test]
fn polls_and_times_are_told_only_where_they_are_asked_for() {
    fn poll_three_times(runtime: &Runtime) -> String {
        let task = runtime.spawn(async {
            yield_now().await;
            thread::sleep(LIMIT);
            yield_now().await;
            pending::<()>().await;
        });
        settle(runtime);
        let tasks = runtime.tasks();
        let info = tasks.get(task.id()).unwrap();
        assert_eq!(info.waits, [Wait::ByHand]);
        let is_timed = info.polls.is_some();
        assert_eq!(info.polls, is_timed.then_some(3));
        assert_eq!(info.in_polls.is_some_and(|time| time >= LIMIT), is_timed);
        tasks.to_string()
    }
    let (plain, timed) = (runtime(), build(Builder::new().timing(true)));
    let table = poll_three_times(&plain);
    assert!(!table.contains("POLLS"), "{table}");
    assert_eq!(plain.metrics().times, None);
    let table = poll_three_times(&timed);
    assert!(table.contains("AGE") && table.contains("  POLLS  IN POLLS  "), "{table}");
    run_on(&timed, sleep(LIMIT));
    let times = timed.metrics().times.unwrap();
    assert!(times.longest_poll >= LIMIT && times.in_polls >= times.longest_poll, "{times:?}");
    assert!(times.longest_turn >= times.longest_poll && times.busy >= times.in_polls, "{times:?}");
    assert!(times.idle > Duration::ZERO && times.mean_turn <= times.longest_turn, "{times:?}");
    let text = timed.metrics().to_string();
    assert!(text.contains("\nselkie_busy_seconds_total "), "{text}");
}

#[test]
fn a_poll_that_does_not_end_is_seen_from_another_thread() {
    let runtime = build(Builder::new().timing(true));
    let remote = runtime.remote();
    assert_eq!(remote.running(), None);
    let (release, released) = mpsc::channel();
    let watches = thread::spawn(move || {
        let deadline = Instant::now() + DEADLINE;
        let stuck = loop {
            match remote.running() {
                Some(task) if task.since.elapsed() >= LIMIT => break task,
                _ => assert!(Instant::now() < deadline, "nobody is stuck"),
            }
            thread::yield_now();
        };
        release.send(()).unwrap();
        stuck
    });
    let line = line!() + 1;
    let task = runtime.spawn(async move { released.recv().unwrap() });
    let id = task.id();
    run_on(&runtime, task);
    let stuck = watches.join().unwrap();
    assert_eq!((stuck.id, stuck.spawned_at.line()), (id, line));
    assert_eq!(runtime.remote().running(), None);
}

#[test]
fn a_root_that_panics_leaves_nobody_running() {
    let runtime = build(Builder::new().timing(true));
    let seen = Cell::new(None);
    panic_text(|| {
        runtime.block_on(async {
            seen.set(runtime.remote().running().map(|task| task.id.get()));
            panic!("on purpose");
        });
    });
    assert_eq!(seen.get(), Some(0));
    assert_eq!(runtime.remote().running(), None);
}

#[test]
fn without_timing_nobody_is_seen_to_run() {
    let runtime = runtime();
    let remote = runtime.remote();
    assert_eq!(run_on(&runtime, async move { remote.running() }), None);
}

/// A clock that others set forward.
#[derive(Clone)]
struct Clock(Arc<Mutex<Instant>>);

impl Clock {
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl<B: Backend> Wrapper<B> for Clock {
    fn now(&self, _inner: &B) -> Instant {
        *self.0.lock().unwrap()
    }
}

#[test]
fn what_a_hook_takes_is_no_polls_time() {
    let clock = Clock(Arc::new(Mutex::new(Instant::now())));
    let (told, advances) = (Told::default(), clock.clone());
    let keeps = Arc::clone(&told);
    let hook = move |slow: &SlowPoll| {
        keeps.lock().unwrap().push(slow.clone());
        advances.advance(3 * LIMIT);
    };
    let inner = BackendKind::from_env().and_then(BackendKind::open).unwrap();
    let backend = Box::new(Wrapped { inner, wrapper: clock.clone() });
    let runtime = Builder::new().slow_poll(LIMIT, hook).build_with(backend).unwrap();
    let slow = runtime.spawn(async move { clock.advance(2 * LIMIT) });
    let quick: Vec<_> = (0..3).map(|_| runtime.spawn(pending::<()>())).collect();
    let id = slow.id();
    runtime.turn(Some(Duration::ZERO)).unwrap();
    let told: Vec<_> = told.lock().unwrap().iter().map(|slow| (slow.id, slow.took)).collect();
    assert_eq!(told, [(id, 2 * LIMIT)]);
    let in_polls = |task: &Task<()>| runtime.tasks().get(task.id()).unwrap().in_polls;
    assert!(quick.iter().all(|task| in_polls(task) == Some(Duration::ZERO)), "{}", runtime.tasks());
    let times = runtime.metrics().times.unwrap();
    assert_eq!((times.in_polls, times.busy), (2 * LIMIT, 5 * LIMIT), "the hook is the turn's");
}
