//! Helpers of the tests of the selector.
//!
//! A test is a generic function over a [`Subject`], a back end under test, and
//! [`on_every_back_end!`] makes a `#[test]` of it for each: statically typed and boxed.

#![allow(dead_code, unused_imports)] // No test binary needs all of it.

pub mod child;
pub mod cpu_time;
pub mod descriptors;
pub mod kinds;
pub mod sockets;
pub mod subject;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use selkie::selector::Backend;
use selkie::{Events, Key, Readiness, Selector};

pub use cpu_time::thread_cpu_time;
pub use descriptors::Closable;
pub use selkie::selector::Wrapped;
pub use sockets::{ready_unix_pair, tcp_pair, unix_pair};
pub use subject::Subject;
pub(crate) use subject::on_every_back_end;

/// For what has to happen. Only a failing test waits for it, so it is longer than any machine
/// under load needs.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// For what must not happen. Every loopback event used here is there before the call that
/// causes it returns, so this only has to be long enough to tell sleep from a busy loop.
pub const SILENCE: Duration = Duration::from_millis(15);

/// What a zero-timeout select finds, in the order of the keys.
#[track_caller]
pub fn ready_now<S: AsFd, D, B: Backend>(
    selector: &mut Selector<S, D, B>,
) -> Vec<(Key, Readiness)> {
    let mut events = Events::new();
    let mut found: Vec<_> = selector.select(&mut events, Some(Duration::ZERO)).unwrap().collect();
    found.sort_by_key(|(key, _)| *key);
    found
}

/// What one select finds within [`DEADLINE`]: not nothing.
#[track_caller]
pub fn next_batch<S: AsFd, D, B: Backend>(
    selector: &mut Selector<S, D, B>,
) -> Vec<(Key, Readiness)> {
    let mut events = Events::new();
    let mut found: Vec<_> = selector.select(&mut events, Some(DEADLINE)).unwrap().collect();
    assert_ne!(found, [], "nothing became ready within {DEADLINE:?}");
    found.sort_by_key(|(key, _)| *key);
    found
}

/// Selects until `key` is reported with all of `wanted`; returns all that was reported with it.
#[track_caller]
pub fn wait_for<S: AsFd, D, B: Backend>(
    selector: &mut Selector<S, D, B>,
    key: Key,
    wanted: Readiness,
) -> Readiness {
    let deadline = Instant::now() + DEADLINE;
    let mut events = Events::new();
    let mut last = None;
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        let mut found = selector.select(&mut events, Some(left)).unwrap();
        if let Some((_, readiness)) = found.find(|(ready, _)| *ready == key) {
            if readiness.contains(wanted) {
                return readiness;
            }
            last = Some(readiness);
        }
    }
    panic!("{key:?} was not reported with {wanted:?} within {DEADLINE:?}; last {last:?}");
}

/// Selects for [`SILENCE`] and insists that nothing is reported before it has passed, and that
/// it was spent asleep: a busy loop is one every time, a machine that is busy itself is not.
#[track_caller]
pub fn assert_silent<S: AsFd, D, B: Backend>(selector: &mut Selector<S, D, B>) {
    let mut work = Vec::new();
    for _ in 0..3 {
        let mut events = Events::new();
        let (start, worked) = (Instant::now(), thread_cpu_time());
        let found: Vec<_> = selector.select(&mut events, Some(SILENCE)).unwrap().collect();
        let (elapsed, worked) = (start.elapsed(), thread_cpu_time() - worked);
        assert_eq!(found, [], "reported though nothing happened");
        assert!(elapsed >= SILENCE, "nothing was reported, but already after {elapsed:?}");
        if worked < SILENCE / 4 {
            return;
        }
        work.push(worked);
    }
    panic!("a busy loop: {work:?} of work, each in {SILENCE:?} of silence");
}
