//! `select_each` is a select: it finds the same, waits as long, and hands over instead of
//! collecting.

use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use selkie::{Events, Interest, Key, Mode, Readiness};

use crate::liar;
use crate::util::unix_pair;
use crate::util::{DEADLINE, SILENCE, Subject, on_every_back_end, ready_now, ready_unix_pair};

on_every_back_end! {
    every_ready_key_is_handed_over_with_its_own_data,
    the_buffer_is_empty_afterwards,
    the_buffer_is_empty_after_a_panic_too,
    a_oneshot_that_was_handed_over_is_disarmed,
    without_an_event_it_ends_by_its_timeout_or_a_notification,
}

fn every_ready_key_is_handed_over_with_its_own_data<T: Subject>() {
    let _truth = liar::no_lies("what a back end tells twice is handed over twice");
    let mut selector = T::selector();
    let (idle, _peer) = unix_pair();
    let idle = selector.register(idle, Interest::READ, 100).unwrap();
    let mut peers = Vec::new();
    let keys = [1, 2, 3].map(|number| {
        let (source, peer) = ready_unix_pair();
        peers.push(peer);
        selector.register(source, Interest::READ, number).unwrap()
    });
    let mut found = Vec::new();
    let each = |key: Key, _: &UnixStream, number: &mut u32, readiness: Readiness| {
        found.push((key, *number, readiness));
        *number += 10;
    };
    selector.select_each(&mut Events::new(), Some(DEADLINE), each).unwrap();
    found.sort_by_key(|(key, ..)| *key);
    assert_eq!(found, [1, 2, 3].map(|n| (keys[n as usize - 1], n, Readiness::READ)));
    assert_eq!(keys.map(|key| selector[key].data), [11, 12, 13]);
    assert_eq!(selector[idle].data, 100);
}

fn the_buffer_is_empty_afterwards<T: Subject>() {
    let _truth = liar::no_lies("what a back end tells twice is handed over twice");
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    selector.register(source, Interest::READ, ()).unwrap();
    let mut events = Events::new();
    assert_eq!(selector.select(&mut events, Some(DEADLINE)).unwrap().count(), 1);
    let mut calls = 0;
    selector.select_each(&mut events, Some(DEADLINE), |_, _, (), _| calls += 1).unwrap();
    assert_eq!((calls, events.len()), (1, 0));
}

fn the_buffer_is_empty_after_a_panic_too<T: Subject>() {
    let mut selector = T::selector();
    let mut peers = Vec::new();
    for _ in 0..3 {
        let (source, peer) = ready_unix_pair();
        peers.push(peer);
        selector.register(source, Interest::READ, ()).unwrap();
    }
    let mut events = Events::new();
    let select = AssertUnwindSafe(|| {
        let each = |_, _: &_, (): &mut (), _| resume_unwind(Box::new("on purpose"));
        selector.select_each(&mut events, Some(DEADLINE), each)
    });
    catch_unwind(select).unwrap_err();
    assert_eq!((events.len(), events.iter().count()), (0, 0));
}

fn a_oneshot_that_was_handed_over_is_disarmed<T: Subject>() {
    let _truth = liar::no_lies("what a back end tells twice is handed over twice");
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let key = selector.register_with_mode(source, Interest::READ, Mode::Oneshot, ()).unwrap();
    let mut calls = 0;
    selector.select_each(&mut Events::new(), Some(DEADLINE), |_, _, (), _| calls += 1).unwrap();
    assert_eq!((calls, ready_now(&mut selector)), (1, vec![]));
    selector.modify(key, Interest::READ).unwrap();
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
}

fn without_an_event_it_ends_by_its_timeout_or_a_notification<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = unix_pair();
    selector.register(source, Interest::READ, ()).unwrap();
    let mut select = |timeout: Duration| {
        let start = Instant::now();
        selector
            .select_each(&mut Events::new(), Some(timeout), |_, _, (), _| panic!("idle"))
            .unwrap();
        start.elapsed()
    };
    assert!(select(SILENCE) >= SILENCE);
    selector.notifier().notify().unwrap();
    let start = Instant::now();
    selector.select_each(&mut Events::new(), Some(DEADLINE), |_, _, (), _| panic!("idle")).unwrap();
    assert!(start.elapsed() < DEADLINE);
}
