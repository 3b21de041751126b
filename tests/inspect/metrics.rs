//! The numbers of a runtime.

use std::future::pending;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use futures::AsyncReadExt;
use selkie::inspect::Metrics;
use selkie::{Async, sleep, yield_now};

use crate::util::{run_on, runtime, settle};

#[test]
fn what_is_done_is_counted_and_what_there_is_is_told() {
    let runtime = runtime();
    let before = runtime.metrics();
    assert_eq!((before.tasks, before.sources, before.timers, before.polls), (0, 0, 0, 0));
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut near = runtime.enter(|| Async::new(near).unwrap());
    let reader = runtime.spawn(async move { near.read(&mut [0]).await });
    let sleeper = runtime.spawn(sleep(Duration::from_secs(3600)));
    settle(&runtime);
    let waiting = runtime.metrics();
    assert_eq!((waiting.tasks, waiting.sources, waiting.timers), (2, 1, 1));
    assert_eq!((waiting.tasks_spawned, waiting.polls), (2, 2));
    far.write_all(&[0]).unwrap();
    run_on(&runtime, reader).unwrap();
    run_on(&runtime, sleep(Duration::from_millis(1)));
    let remote = runtime.remote();
    let sent = std::thread::spawn(move || remote.spawn(|| async {}).unwrap());
    run_on(&runtime, sent.join().unwrap());
    let after = runtime.metrics();
    assert!(after.events > waiting.events, "{after:?}");
    assert!(after.timers_fired > waiting.timers_fired, "{after:?}");
    assert!(after.remote_wakes > waiting.remote_wakes, "{after:?}");
    assert!(after.turns > waiting.turns, "{after:?}");
    assert_eq!((after.tasks, after.sources, after.timers), (1, 0, 1));
    drop(sleeper);
    settle(&runtime);
    assert_eq!(runtime.metrics().tasks, 0);
}

#[test]
fn a_task_that_yields_or_has_not_begun_is_alive() {
    let runtime = runtime();
    let counts = run_on(&runtime, async {
        let fresh = selkie::spawn(pending::<()>());
        let one = selkie::inspect::metrics().tasks;
        let yields = selkie::spawn(async {
            yield_now().await;
            selkie::inspect::metrics().tasks
        });
        (one, yields.await, drop(fresh)).0
    });
    assert_eq!(counts, 1);
}

#[test]
fn the_numbers_are_printed_for_prometheus() {
    let text = Metrics::default().to_string();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let name = if words[0] == "#" { words[2] } else { words[0] };
        assert!(name.starts_with("selkie_"), "{line}");
    }
    assert!(text.contains("# TYPE selkie_polls_total counter\nselkie_polls_total 0\n"), "{text}");
    assert!(text.contains("# TYPE selkie_tasks gauge\nselkie_tasks 0\n"), "{text}");
}

#[test]
fn a_task_that_another_runtime_refuses_is_none_of_this_ones() {
    let gone = runtime().remote();
    let runtime = runtime();
    run_on(&runtime, async move {
        let waits = selkie::spawn(pending::<()>());
        gone.spawn(|| async {}).unwrap_err();
        assert_eq!(selkie::inspect::metrics().tasks, 1);
        drop(waits);
    });
}
