//! Ten thousand sources, or as many as the system allows: nothing is lost, nothing invented.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::sys::resource::rlim_t;
use selkie::selector::Backend;
use selkie::{Events, Interest, Key, Readiness, Selector};

use crate::util::{DEADLINE, SILENCE, Subject, assert_silent, child, descriptors};
use crate::util::{on_every_back_end, unix_pair};

on_every_back_end! {
    ten_thousand_registered_pairs,
}

/// What the issue asks for; each is two descriptors.
const PAIRS: usize = 10_000;

/// Descriptors for all else that is open in the child.
const SPARE: rlim_t = 32;

type Many<T> = Selector<UnixStream, usize, <T as Subject>::Backend>;

/// In a child of its own, which need not share its descriptors with the other tests.
fn ten_thousand_registered_pairs<T: Subject>() {
    if child::role().is_none() {
        let name = format!("many::{}::ten_thousand_registered_pairs", T::NAME);
        let printed = child::run(&mut child::command(&name, "open many"));
        let count = printed.lines().find(|line| line.contains("socket pairs"));
        println!("{}", count.expect("it says how many"));
        return;
    }
    let allowed = (descriptors::limit() - SPARE) / 2;
    let pairs = PAIRS.min(usize::try_from(allowed).unwrap());
    println!("\n{}: {pairs} registered socket pairs", T::NAME);
    let mut selector: Many<T> = T::selector();
    let (keys, mut peers): (Vec<Key>, Vec<UnixStream>) = (0..pairs)
        .map(|number| {
            let (source, peer) = unix_pair();
            (selector.register(source, Interest::READ, number).unwrap(), peer)
        })
        .unzip();
    // Not for how much work: one scan of ten thousand costs poll(2) and select(2) some.
    assert_eq!(selector.select(&mut Events::new(), Some(SILENCE)).unwrap().count(), 0);
    every_seventh_is_found_once(&mut selector, &mut peers);
    half_of_them_can_go(&mut selector, &keys, &mut peers);
}

fn every_seventh_is_found_once<B: Backend>(
    selector: &mut Selector<UnixStream, usize, B>,
    peers: &mut [UnixStream],
) {
    let expected: BTreeSet<usize> = (0..peers.len()).step_by(7).collect();
    for number in &expected {
        peers[*number].write_all(b"!").unwrap();
    }
    all_are_told_by_one_select(selector, expected.len());
    let (start, mut events, mut found) = (Instant::now(), Events::new(), BTreeSet::new());
    while found.len() < expected.len() {
        assert!(start.elapsed() < DEADLINE, "{} of {} found", found.len(), expected.len());
        for (key, readiness) in selector.select(&mut events, Some(DEADLINE)).unwrap() {
            assert_eq!(readiness, Readiness::READ);
            let number = selector[key].data;
            assert!(found.insert(number), "{number} was reported again");
            (&selector[key].source).read_exact(&mut [0]).unwrap();
        }
    }
    assert_eq!(found, expected);
}

/// By the first or, once the buffer has grown, by one of the next.
fn all_are_told_by_one_select<B: Backend>(
    selector: &mut Selector<UnixStream, usize, B>,
    ready: usize,
) {
    let (start, mut events) = (Instant::now(), Events::new());
    while selector.select(&mut events, Some(DEADLINE)).unwrap().count() < ready {
        assert!(start.elapsed() < DEADLINE, "at most {} of {ready}", events.capacity());
    }
}

/// The even ones; then the odd ones as they are reported.
fn half_of_them_can_go<B: Backend>(
    selector: &mut Selector<UnixStream, usize, B>,
    keys: &[Key],
    peers: &mut [UnixStream],
) {
    for key in keys.iter().step_by(2) {
        selector.unregister(*key).unwrap();
    }
    for peer in peers.iter_mut() {
        // The peer of one that has gone says EPIPE.
        let _ = peer.write(b"!");
    }
    let (start, mut events) = (Instant::now(), Events::new());
    while !selector.is_empty() {
        assert!(start.elapsed() < DEADLINE, "{} sources were not reported", selector.len());
        for (key, _) in selector.select(&mut events, Some(DEADLINE)).unwrap() {
            assert_eq!(selector.unregister(key).unwrap().data % 2, 1);
        }
    }
    assert_silent(selector);
}
