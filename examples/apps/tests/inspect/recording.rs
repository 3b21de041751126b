//! A recording tells what has happened.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures::channel::mpsc;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use selkie::inspect::{Actor, What};
use selkie::selector::{Backend, BackendKind, ReadyList, Until, Wrapped, Wrapper};
use selkie::{Async, Builder, Remote, Runtime, sleep, yield_now};

use crate::paper::Paper;

/// Numbers that a seed determines: Knuth's linear congruence.
#[derive(Clone)]
struct Random(Rc<RefCell<u64>>);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(seed)))
    }

    fn below(&self, end: u64) -> u64 {
        let mut state = self.0.borrow_mut();
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % end
    }
}

/// Does something, in all `work` times, some of it in tasks of its own.
fn random_work(random: Random, work: u64, depth: u64) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        for _ in 0..work {
            match random.below(8) {
                0 => yield_now().await,
                1 => sleep(Duration::from_micros(random.below(500))).await,
                2 if depth > 0 => {
                    selkie::spawn(random_work(random.clone(), random.below(4), depth - 1)).await;
                }
                3 if depth > 0 => {
                    let work = random_work(random.clone(), random.below(4), depth - 1);
                    selkie::spawn_named(format!("depth {depth}"), work).detach();
                }
                4 => {
                    let task = selkie::spawn(pending::<()>());
                    yield_now().await;
                    drop(task);
                }
                5 => {
                    let (sender, mut receiver) = mpsc::unbounded();
                    let sends = selkie::spawn(async move { sender.unbounded_send(()) });
                    receiver.next().await;
                    sends.await.unwrap();
                }
                6 => {
                    let (mut near, mut far) = Async::<UnixStream>::pair().unwrap();
                    let writes = selkie::spawn(async move { far.write_all(b"x").await });
                    near.read_exact(&mut [0]).await.unwrap();
                    writes.await.unwrap();
                }
                _ => {
                    let remote = selkie::Remote::current();
                    let sent = thread::spawn(move || remote.spawn(|| async { 7 }).unwrap());
                    assert_eq!(sent.join().unwrap().await, 7);
                }
            }
        }
    })
}

#[test]
fn a_random_program_is_recorded_as_it_can_have_happened_on_every_back_end() {
    for kind in BackendKind::ALL {
        for seed in 0..8 {
            // Half of them by the system's clock, the others by the processor's counter.
            let builder = Builder::new().backend(*kind).timing(seed % 2 == 1);
            let runtime = builder.build().unwrap();
            let random = Random::new(seed);
            let quiet = runtime.spawn(pending::<()>());
            runtime.block_on(async {
                let work: Vec<_> = (0..8).map(|_| random_work(random.clone(), 8, 3)).collect();
                let tasks: Vec<_> = work.into_iter().map(selkie::spawn).collect();
                for task in tasks {
                    task.await;
                }
            });
            while runtime.tasks().len() > 1 {
                runtime.turn(None).unwrap();
            }
            let (recording, metrics) = (runtime.recording(), runtime.metrics());
            let paper = Paper::replay(&recording);
            let counts = &paper.counts;
            assert_eq!(counts.polls as u64, metrics.polls, "{counts:?}");
            assert_eq!(counts.turns as u64, metrics.turns, "{counts:?}");
            assert_eq!(counts.events as u64, metrics.events, "{counts:?}");
            assert_eq!(counts.timers as u64, metrics.timers_fired, "{counts:?}");
            assert_eq!(counts.spawns as u64, metrics.tasks_spawned, "{counts:?}");
            assert_eq!(counts.arrivals as u64, metrics.remote_wakes, "{counts:?}");
            assert_eq!(paper.alive().collect::<Vec<_>>(), [quiet.id()]);
            assert!(counts.wakes_by_tasks > 0 && counts.wakes_by_the_loop > 0, "{counts:?}");
        }
    }
}

#[test]
fn who_wakes_whom_is_told_and_where_tasks_come_from() {
    let runtime = Runtime::new().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut near = runtime.enter(|| Async::new(near).unwrap());
    let (sender, mut receiver) = mpsc::unbounded();
    let line = line!() + 1;
    let reader = runtime.spawn_named("reader", async move {
        near.read_exact(&mut [0]).await.unwrap();
        sender.unbounded_send(()).unwrap();
        pending::<()>().await;
    });
    let other = runtime.spawn(async move {
        receiver.next().await;
    });
    while !runtime.turn(Some(Duration::ZERO)).unwrap().is_idle() {}
    far.write_all(b"x").unwrap();
    runtime.turn(Some(Duration::from_secs(10))).unwrap();
    let recording = runtime.recording();
    Paper::replay(&recording);
    let wakes: Vec<_> = recording
        .entries()
        .filter_map(|entry| match entry.what {
            What::Wake { task, by } => Some((task, by)),
            _ => None,
        })
        .collect();
    let (reader, other) = (reader.id(), other.id());
    assert_eq!(wakes, [(reader, Actor::Loop), (other, Actor::Task(reader))]);
    assert_eq!(recording.name(reader), Some("reader"));
    assert_eq!(recording.spawned_at(reader), Some(&*format!("{}:{line}", file!())));
    assert_eq!(recording.name(other), None);
    let ends = recording.entries().filter(|entry| entry.what == What::End { task: other });
    assert_eq!(ends.count(), 1);
}

#[test]
fn a_full_ring_loses_the_oldest_records_and_says_how_many() {
    let runtime = Builder::new().records(1).build().unwrap();
    let gone = runtime.spawn_named("gone", async {});
    let (gone, line) = (gone.id(), line!() - 1);
    let quiet = runtime.spawn_named("quiet", pending::<()>());
    for _ in 0..40 {
        runtime.block_on(async {
            for _ in 0..100 {
                yield_now().await;
            }
        });
    }
    let recording = runtime.recording();
    assert!(recording.lost() > 0);
    assert!(recording.entries().count() <= 4096);
    let times: Vec<_> = recording.entries().map(|entry| entry.time).collect();
    assert!(times.is_sorted());
    assert_eq!(recording.name(quiet.id()), Some("quiet"), "it lives, so it is known");
    assert_eq!(recording.name(gone), Some("gone"), "names are kept for longer than records");
    assert_eq!(recording.spawned_at(gone), Some(&*format!("{}:{line}", file!())));
}

#[test]
fn a_panic_saves_the_recording_if_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("panicked.json");
    let runtime = Builder::new().record_panics(&path).build().unwrap();
    runtime.block_on(async { selkie::spawn_named("well", async {}).await });
    assert!(!path.exists());
    let outcome = runtime.spawn_named("unwell", async { panic!("on purpose") }).outcome();
    runtime.block_on(async { outcome.await.unwrap_err() });
    let trace = std::fs::read_to_string(&path).unwrap();
    assert!(trace.contains("unwell") && trace.trim_end().ends_with("]}"), "{trace}");
    std::fs::remove_file(&path).unwrap();
    let root = AssertUnwindSafe(|| runtime.block_on(async { panic!("on purpose, too") }));
    catch_unwind(root).unwrap_err();
    assert!(path.exists(), "the root's panic counts, too");
    Paper::replay(&runtime.recording());
}

#[test]
fn a_slow_poll_may_save_the_recording_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slow.json");
    let limit = Duration::from_millis(5);
    let saves = path.clone();
    let hook = move |_: &_| selkie::inspect::recording().save_trace(&saves).unwrap();
    let runtime = Builder::new().slow_poll(limit, hook).build().unwrap();
    runtime.block_on(runtime.spawn_named("blocks", async move { thread::sleep(limit) }));
    assert!(std::fs::read_to_string(path).unwrap().contains("\"name\":\"blocks\""));
}

/// Spawns a task while the loop waits, as another thread may.
#[derive(Clone, Default)]
struct Sends(Arc<Mutex<Option<Remote>>>);

impl<B: Backend> Wrapper<B> for Sends {
    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        if let Some(remote) = self.0.lock().unwrap().take() {
            remote.spawn(|| async {})?.detach();
        }
        inner.wait(ready, until)
    }
}

#[test]
fn a_task_that_comes_from_elsewhere_while_the_loop_waits_was_not_spawned_by_the_loop() {
    let (inner, sends) = (BackendKind::DEFAULT.open().unwrap(), Sends::default());
    let wrapped = Box::new(Wrapped { inner, wrapper: sends.clone() });
    let runtime = Builder::new().build_with(wrapped).unwrap();
    *sends.0.lock().unwrap() = Some(runtime.remote());
    let turn = runtime.turn(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(turn.polls, 1);
    let spawns = runtime.recording().entries().filter_map(|entry| match entry.what {
        What::Spawn { by, .. } => Some(by),
        _ => None,
    });
    assert_eq!(spawns.collect::<Vec<_>>(), [Actor::Outside]);
}
