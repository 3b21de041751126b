//! Level repeats, an edge is told once, a oneshot fires once; a back end that lacks a mode says
//! so.

use std::io::{ErrorKind, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use selkie::selector::Backend;
use selkie::{Events, Interest, Key, Mode, Readiness, Selector};

use crate::util::{Subject, assert_silent, next_batch, on_every_back_end, ready_now, wait_for};
use crate::util::{ready_unix_pair, unix_pair};

on_every_back_end! {
    every_back_end_says_which_modes_it_has,
    a_level_repeats_until_it_is_handled,
    an_edge_is_reported_once_per_change,
    an_edge_is_reported_again_after_modify,
    an_edge_that_was_there_before_registering_is_reported,
    a_oneshot_fires_once_and_modify_arms_it_again,
    a_oneshot_fires_once_for_both_directions,
    a_fired_oneshot_does_not_spin_on_a_hang_up,
    a_fired_oneshot_can_be_unregistered_and_registered_again,
    no_oneshot_is_lost_when_the_batch_is_too_small_for_all,
    a_mode_can_be_changed,
    a_mode_that_the_back_end_lacks_changes_nothing,
}

fn register<B: Backend>(
    selector: &mut Selector<UnixStream, (), B>,
    source: UnixStream,
    mode: Mode,
) -> Key {
    selector.register_with_mode(source, Interest::READ, mode, ()).unwrap()
}

/// Reads all that there is.
fn drain<B: Backend>(selector: &Selector<UnixStream, (), B>, key: Key) {
    let mut bytes = [0; 64];
    while (&selector[key].source).read(&mut bytes).is_ok_and(|count| count > 0) {}
}

fn every_back_end_says_which_modes_it_has<T: Subject>() {
    let backend = T::open();
    assert!(backend.supports(Mode::Level));
    assert!(backend.supports(Mode::Oneshot));
    assert_eq!(backend.supports(Mode::Edge), T::has_edges());
}

fn a_level_repeats_until_it_is_handled<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = unix_pair();
    let key = register(&mut selector, source, Mode::Level);
    peer.write_all(b"!!").unwrap();
    for _ in 0..3 {
        assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    }
    assert_eq!((&selector[key].source).read(&mut [0; 1]).unwrap(), 1);
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    drain(&selector, key);
    assert_silent(&mut selector);
}

/// poll(2) and select(2) have no edges: refusing the mode is tested under
/// `a_mode_that_the_back_end_lacks_changes_nothing` and among the bad input.
fn an_edge_is_reported_once_per_change<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = unix_pair();
    let registered = selector.register_with_mode(source, Interest::READ, Mode::Edge, ());
    if !T::has_edges() {
        assert_eq!(registered.unwrap_err().kind(), ErrorKind::Unsupported);
        return;
    }
    let key = registered.unwrap();
    assert_silent(&mut selector);
    peer.write_all(b"!").unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    assert_silent(&mut selector); // Though nothing was read.
    peer.write_all(b"!").unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    drain(&selector, key);
    assert_silent(&mut selector);
    peer.write_all(b"!").unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
}

fn an_edge_is_reported_again_after_modify<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    if !T::has_edges() {
        let key = register(&mut selector, source, Mode::Level);
        let refused = selector.modify_with_mode(key, Interest::READ, Mode::Edge).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        return;
    }
    let key = register(&mut selector, source, Mode::Edge);
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    assert_silent(&mut selector);
    selector.modify(key, Interest::READ).unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    assert_silent(&mut selector);
    selector.modify(key, Interest::READ | Interest::WRITE).unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ | Readiness::WRITE)]);
}

fn an_edge_that_was_there_before_registering_is_reported<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let registered = selector.register_with_mode(source, Interest::READ, Mode::Edge, ());
    if !T::has_edges() {
        assert_eq!(registered.unwrap_err().kind(), ErrorKind::Unsupported);
        return;
    }
    assert_eq!(next_batch(&mut selector), [(registered.unwrap(), Readiness::READ)]);
}

fn a_oneshot_fires_once_and_modify_arms_it_again<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = unix_pair();
    let key = register(&mut selector, source, Mode::Oneshot);
    assert_silent(&mut selector);
    peer.write_all(b"!").unwrap();
    for _ in 0..3 {
        assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
        assert_silent(&mut selector);
        peer.write_all(b"!").unwrap();
        assert_silent(&mut selector);
        selector.modify(key, Interest::READ).unwrap();
    }
}

fn a_oneshot_fires_once_for_both_directions<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = unix_pair();
    let both = Interest::READ | Interest::WRITE;
    let key = selector.register_with_mode(source, both, Mode::Oneshot, ()).unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::WRITE)]);
    peer.write_all(b"!").unwrap();
    assert_silent(&mut selector);
    selector.modify(key, both).unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ | Readiness::WRITE)]);
    assert_silent(&mut selector);
}

/// poll(2) reports a hang-up even where no event is asked for: a oneshot made by asking for
/// nothing would spin.
fn a_fired_oneshot_does_not_spin_on_a_hang_up<T: Subject>() {
    let mut selector = T::selector();
    let (source, peer) = ready_unix_pair();
    let key = register(&mut selector, source, Mode::Oneshot);
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    drop(peer);
    assert_silent(&mut selector);
    selector.modify(key, Interest::READ).unwrap();
    wait_for(&mut selector, key, Readiness::READ);
    assert_silent(&mut selector);
}

fn a_fired_oneshot_can_be_unregistered_and_registered_again<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let key = register(&mut selector, source, Mode::Oneshot);
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    let (source, ()) = selector.unregister(key).unwrap().into_parts();
    assert_silent(&mut selector);
    let key = register(&mut selector, source, Mode::Level);
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
}

fn no_oneshot_is_lost_when_the_batch_is_too_small_for_all<T: Subject>() {
    const SOURCES: usize = 7;
    let mut selector = T::selector();
    let mut peers = Vec::new();
    let mut keys = Vec::new();
    for _ in 0..SOURCES {
        let (source, peer) = ready_unix_pair();
        keys.push(register(&mut selector, source, Mode::Oneshot));
        peers.push(peer);
    }
    let mut events = Events::with_capacity(NonZeroUsize::new(2).unwrap());
    let mut fired = Vec::new();
    // A select may come back early and empty-handed; it may not do so for ever.
    for _ in 0..3 * SOURCES {
        let found = selector.select(&mut events, Some(Duration::ZERO)).unwrap();
        fired.extend(found.map(|(key, _)| key));
    }
    fired.sort();
    keys.sort();
    assert_eq!(fired, keys);
}

fn a_mode_can_be_changed<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let key = register(&mut selector, source, Mode::Level);
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    selector.modify_with_mode(key, Interest::READ, Mode::Oneshot).unwrap();
    assert_eq!(selector[key].mode, Mode::Oneshot);
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    assert_silent(&mut selector);
    selector.modify_with_mode(key, Interest::READ, Mode::Level).unwrap();
    assert_eq!(selector[key].mode, Mode::Level);
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    if T::has_edges() {
        selector.modify_with_mode(key, Interest::READ, Mode::Edge).unwrap();
        assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
        assert_silent(&mut selector);
    }
}

/// Epoll and polling lack none; there the edge is taken on, and a level again afterwards.
fn a_mode_that_the_back_end_lacks_changes_nothing<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let key = register(&mut selector, source, Mode::Level);
    let changed = selector.modify_with_mode(key, Interest::WRITE, Mode::Edge);
    if T::has_edges() {
        changed.unwrap();
        selector.modify_with_mode(key, Interest::READ, Mode::Level).unwrap();
    } else {
        assert_eq!(changed.unwrap_err().kind(), ErrorKind::Unsupported);
    }
    assert_eq!((selector[key].interest, selector[key].mode), (Interest::READ, Mode::Level));
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
}
