//! What one select reports: each key once, nothing that is gone, everybody in turn; and the loop
//! body may do with the selector what it likes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use selkie::selector::Backend;
use selkie::{Events, Interest, Key, Mode, Readiness, Selector};

use crate::util::{Closable, DEADLINE, Subject, assert_silent, next_batch, on_every_back_end};
use crate::util::{descriptors, ready_now, ready_unix_pair, unix_pair};

on_every_back_end! {
    a_key_unregistered_earlier_in_the_batch_is_not_delivered,
    the_key_at_hand_can_be_unregistered,
    a_reused_slot_never_receives_an_old_event,
    a_reused_descriptor_number_never_receives_an_old_event,
    an_event_between_two_selects_never_reaches_the_next_owner,
    the_loop_body_may_register_modify_and_unregister,
    a_key_that_was_modified_in_the_batch_is_delivered_once_more_at_most,
    a_walk_can_be_repeated,
    a_walk_says_how_many_are_left_at_most_and_shows_them,
    a_select_clears_what_was_there_before,
    events_can_be_used_with_two_selectors,
    two_buffers_can_be_used_with_one_selector,
    a_key_unregistered_by_a_walk_within_a_walk_is_not_delivered_by_the_outer_one,
    a_small_batch_gives_every_key_its_turn,
    a_small_batch_gives_a_late_key_its_turn,
    no_batch_is_larger_than_its_capacity,
    a_capacity_that_was_asked_for_does_not_grow,
    a_capacity_without_bounds_takes_no_more_than_what_is_ready,
    what_one_selector_finds_is_not_struck_out_by_another_on_its_thread,
    a_key_that_stood_behind_the_end_of_a_smaller_batch_can_be_unregistered,
}

type Registered<B> = (Selector<UnixStream, usize, B>, Vec<Key>, Vec<UnixStream>);

/// A selector with so many sources, each with a byte to read, numbered by their data.
fn all_ready<T: Subject>(count: usize) -> Registered<T::Backend> {
    let mut selector = T::selector();
    let (mut keys, mut peers) = (Vec::new(), Vec::new());
    for number in 0..count {
        let (source, peer) = ready_unix_pair();
        keys.push(selector.register(source, Interest::READ, number).unwrap());
        peers.push(peer);
    }
    (selector, keys, peers)
}

fn buffer(capacity: usize) -> Events {
    Events::with_capacity(NonZeroUsize::new(capacity).unwrap())
}

fn a_key_unregistered_earlier_in_the_batch_is_not_delivered<T: Subject>() {
    let (mut selector, keys, _peers) = all_ready::<T>(5);
    let mut events = Events::new();
    let mut delivered = Vec::new();
    for (key, _) in selector.select(&mut events, Some(DEADLINE)).unwrap() {
        delivered.push(key);
        for &other in keys.iter().filter(|other| **other != key) {
            selector.unregister(other).unwrap();
        }
    }
    assert_eq!(delivered.len(), 1);
    assert_eq!(events.len(), 5, "how many the select reported");
    assert_eq!(events.iter().count(), 1, "how many of them are still registered");
}

fn the_key_at_hand_can_be_unregistered<T: Subject>() {
    let (mut selector, keys, _peers) = all_ready::<T>(5);
    let mut events = Events::new();
    let mut delivered = Vec::new();
    for (key, _) in selector.select(&mut events, Some(DEADLINE)).unwrap() {
        delivered.push(key);
        selector.unregister(key).unwrap();
    }
    delivered.sort();
    assert_eq!(delivered, keys);
    assert!(selector.is_empty() && events.iter().next().is_none());
}

/// The first handler of the batch replaces all other sources by idle ones in their slots.
fn a_reused_slot_never_receives_an_old_event<T: Subject>() {
    let (mut selector, keys, _peers) = all_ready::<T>(4);
    let mut events = Events::new();
    let (mut fresh, mut idle_peers, mut delivered) = (Vec::new(), Vec::new(), 0);
    for (key, _) in selector.select(&mut events, Some(DEADLINE)).unwrap() {
        delivered += 1;
        assert!(!fresh.contains(&key), "an old event reached a new registration");
        for &other in keys.iter().filter(|other| **other != key) {
            selector.unregister(other).unwrap();
            let (idle, peer) = unix_pair();
            fresh.push(selector.register(idle, Interest::READ, 0).unwrap());
            idle_peers.push(peer);
        }
        selector.unregister(key).unwrap();
    }
    assert_eq!(delivered, 1);
    assert_silent(&mut selector);
}

/// The first handler of the batch closes the other source, and a new one gets its number.
fn a_reused_descriptor_number_never_receives_an_old_event<T: Subject>() {
    let mut selector = T::selector();
    let pairs = [ready_unix_pair(), ready_unix_pair()];
    let keys = pairs.each_ref().map(|(source, _peer)| {
        selector.register(Closable::duplicate_of(source), Interest::READ, ()).unwrap()
    });
    let (idle, mut idle_peer) = unix_pair();
    let mut events = Events::new();
    let mut delivered = Vec::new();
    for (key, _) in selector.select(&mut events, Some(DEADLINE)).unwrap() {
        delivered.push(key);
        if let [first] = delivered[..] {
            let other = keys.into_iter().find(|other| *other != first).unwrap();
            let number = selector.unregister(other).unwrap().source.number();
            descriptors::close(number);
            let reused = Closable::at(number, &idle);
            delivered.push(selector.register(reused, Interest::READ, ()).unwrap());
            selector.unregister(first).unwrap();
        }
    }
    let [_, fresh] = delivered[..] else { panic!("an old event was delivered: {delivered:?}") };
    assert_silent(&mut selector);
    idle_peer.write_all(b"!").unwrap();
    assert_eq!(next_batch(&mut selector), [(fresh, Readiness::READ)]);
}

/// As above, but the event is still in the system when the source changes hands.
fn an_event_between_two_selects_never_reaches_the_next_owner<T: Subject>() {
    for mode in [Mode::Level, Mode::Oneshot] {
        let mut selector = T::selector();
        let (source, mut peer) = unix_pair();
        let source = Closable::duplicate_of(source);
        let number = source.number();
        let key = selector.register_with_mode(source, Interest::READ, mode, ()).unwrap();
        assert_silent(&mut selector);
        peer.write_all(b"!").unwrap();
        selector.unregister(key).unwrap();
        descriptors::close(number);
        let (idle, _idle_peer) = unix_pair();
        let idle = Closable::at(number, &idle);
        selector.register_with_mode(idle, Interest::READ, mode, ()).unwrap();
        assert_silent(&mut selector);
    }
}

fn the_loop_body_may_register_modify_and_unregister<T: Subject>() {
    let (mut selector, keys, mut peers) = all_ready::<T>(3);
    let mut events = Events::new();
    for (key, readiness) in selector.select(&mut events, Some(DEADLINE)).unwrap() {
        assert_eq!(readiness, Readiness::READ);
        match selector[key].data {
            0 => selector.modify(key, Interest::WRITE).unwrap(),
            1 => drop(selector.unregister(key).unwrap()),
            _ => {
                let (source, peer) = ready_unix_pair();
                selector.register(source, Interest::READ, 3).unwrap();
                peers.push(peer);
            }
        }
    }
    let mut found: Vec<_> = next_batch(&mut selector)
        .into_iter()
        .map(|(key, readiness)| (selector[key].data, readiness))
        .collect();
    found.sort_by_key(|(number, _)| *number);
    assert_eq!(found, [(0, Readiness::WRITE), (2, Readiness::READ), (3, Readiness::READ)]);
    assert!(selector.get(keys[1]).is_none());
}

fn a_key_that_was_modified_in_the_batch_is_delivered_once_more_at_most<T: Subject>() {
    let (mut selector, keys, _peers) = all_ready::<T>(3);
    let mut events = Events::new();
    let mut delivered = 0;
    for (_, _) in selector.select(&mut events, Some(DEADLINE)).unwrap() {
        delivered += 1;
        for &key in &keys {
            selector.modify(key, Interest::PRIORITY).unwrap();
        }
    }
    assert_eq!(delivered, 3);
    assert_silent(&mut selector);
}

fn a_walk_can_be_repeated<T: Subject>() {
    let (mut selector, keys, _peers) = all_ready::<T>(3);
    let mut events = Events::new();
    let mut first: Vec<_> = selector.select(&mut events, Some(DEADLINE)).unwrap().collect();
    let mut again: Vec<_> = (&events).into_iter().collect();
    assert_eq!(first, again);
    first.sort_by_key(|(key, _)| *key);
    assert_eq!(first, keys.iter().map(|key| (*key, Readiness::READ)).collect::<Vec<_>>());
    selector.unregister(first[0].0).unwrap();
    again.retain(|(key, _)| *key != first[0].0);
    assert_eq!(events.iter().collect::<Vec<_>>(), again);
}

fn a_walk_says_how_many_are_left_at_most_and_shows_them<T: Subject>() {
    let (mut selector, keys, _peers) = all_ready::<T>(3);
    let mut events = Events::new();
    selector.select(&mut events, Some(DEADLINE)).unwrap();
    let mut walk = events.iter();
    // Any of them may yet be unregistered.
    assert_eq!(walk.size_hint(), (0, Some(3)));
    let first = walk.next().unwrap();
    assert_eq!(walk.size_hint(), (0, Some(2)));
    let (all, left) = (format!("{:?}", events.iter()), format!("{walk:?}"));
    assert_eq!(all, format!("{events:?}"));
    for key in keys {
        let shown = format!("({key:?}, {:?})", Readiness::READ);
        assert!(all.contains(&shown), "{all}");
        assert_eq!(left.contains(&shown), key != first.0, "{left}");
    }
}

fn a_select_clears_what_was_there_before<T: Subject>() {
    let (mut selector, keys, _peers) = all_ready::<T>(3);
    let mut events = Events::new();
    assert!(events.is_empty());
    assert_eq!(selector.select(&mut events, Some(DEADLINE)).unwrap().count(), 3);
    assert_eq!((events.len(), events.is_empty()), (3, false));
    for key in keys {
        (&selector[key].source).read_exact(&mut [0]).unwrap();
    }
    assert_eq!(selector.select(&mut events, Some(Duration::ZERO)).unwrap().count(), 0);
    assert_eq!((events.len(), events.iter().count(), events.is_empty()), (0, 0, true));
}

/// What the buffer holds belongs to the selector that filled it last.
fn events_can_be_used_with_two_selectors<T: Subject>() {
    let (mut one, ones_keys, _peers) = all_ready::<T>(3);
    let (mut other, others_keys, _others_peers) = all_ready::<T>(2);
    let mut events = Events::new();
    for _ in 0..2 {
        let found: Vec<_> = one.select(&mut events, Some(DEADLINE)).unwrap().collect();
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|(key, _)| ones_keys.contains(key)));
        let found: Vec<_> = other.select(&mut events, Some(DEADLINE)).unwrap().collect();
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(key, _)| others_keys.contains(key)));
    }
    // The same slots in both: unregistering from one must not strike the other's key out.
    for key in ones_keys {
        one.unregister(key).unwrap();
    }
    assert_eq!(events.iter().count(), 2);
    other.unregister(others_keys[0]).unwrap();
    assert_eq!(events.iter().collect::<Vec<_>>(), [(others_keys[1], Readiness::READ)]);
}

fn two_buffers_can_be_used_with_one_selector<T: Subject>() {
    let (mut selector, keys, _peers) = all_ready::<T>(2);
    let (mut one, mut other) = (Events::new(), Events::new());
    assert_eq!(selector.select(&mut one, Some(DEADLINE)).unwrap().count(), 2);
    assert_eq!(selector.select(&mut other, Some(DEADLINE)).unwrap().count(), 2);
    selector.unregister(keys[0]).unwrap();
    assert_eq!(other.iter().collect::<Vec<_>>(), [(keys[1], Readiness::READ)]);
    // The older batch may still name the key; it names nothing then.
    assert!(one.iter().all(|(key, _)| key == keys[1] || selector.get(key).is_none()));
}

/// A handler that selects for itself, twice, and unregisters all others that it finds.
fn a_key_unregistered_by_a_walk_within_a_walk_is_not_delivered_by_the_outer_one<T: Subject>() {
    let (mut selector, keys, _peers) = all_ready::<T>(3);
    let (mut outer, mut inner) = (Events::new(), Events::new());
    let mut delivered = Vec::new();
    for (key, _) in selector.select(&mut outer, Some(DEADLINE)).unwrap() {
        delivered.push(key);
        selector.select(&mut inner, Some(DEADLINE)).unwrap();
        for (other, _) in selector.select(&mut inner, Some(DEADLINE)).unwrap() {
            if other != key {
                selector.unregister(other).unwrap();
            }
        }
    }
    assert_eq!(delivered.len(), 1, "of {keys:?}");
}

/// How often each key was reported by so many selects; nobody reads anything.
fn turns<B: Backend>(
    selector: &mut Selector<UnixStream, usize, B>,
    capacity: usize,
    selects: usize,
) -> BTreeMap<Key, usize> {
    let mut events = buffer(capacity);
    let mut turns = BTreeMap::new();
    for _ in 0..selects {
        for (key, _) in selector.select(&mut events, Some(Duration::ZERO)).unwrap() {
            *turns.entry(key).or_default() += 1;
        }
    }
    turns
}

fn a_small_batch_gives_every_key_its_turn<T: Subject>() {
    for capacity in [1, 2, 3, 7] {
        let (mut selector, keys, _peers) = all_ready::<T>(8);
        let turns = turns(&mut selector, capacity, 40);
        assert_eq!(turns.len(), keys.len(), "batches of {capacity} starve somebody: {turns:?}");
        let least = turns.values().min().unwrap();
        assert!(least * 2 >= 40 * capacity / keys.len(), "batches of {capacity}: {turns:?}");
    }
}

/// The late one has the highest number and the last slot.
fn a_small_batch_gives_a_late_key_its_turn<T: Subject>() {
    let (mut selector, _keys, _peers) = all_ready::<T>(4);
    turns(&mut selector, 1, 10);
    let (source, mut peer) = unix_pair();
    let late = selector.register(source, Interest::READ, 4).unwrap();
    turns(&mut selector, 1, 10);
    peer.write_all(b"!").unwrap();
    let turns = turns(&mut selector, 1, 20);
    assert!(turns.contains_key(&late), "{turns:?}");
    assert_eq!(turns.len(), 5, "{turns:?}");
}

fn no_batch_is_larger_than_its_capacity<T: Subject>() {
    let (mut selector, _keys, _peers) = all_ready::<T>(8);
    for capacity in [1, 2, 3, 7, 8, 9] {
        let mut events = buffer(capacity);
        assert_eq!(events.capacity().get(), capacity);
        let found = selector.select(&mut events, Some(DEADLINE)).unwrap().count();
        assert!((1..=capacity.min(8)).contains(&found), "{found} in a batch of {capacity}");
    }
    assert_eq!(ready_now(&mut selector).len(), 8);
}

fn a_capacity_that_was_asked_for_does_not_grow<T: Subject>() {
    let (mut selector, _keys, _peers) = all_ready::<T>(4);
    let mut events = buffer(2);
    for _ in 0..4 {
        assert!(selector.select(&mut events, Some(DEADLINE)).unwrap().count() <= 2);
        assert_eq!(events.capacity().get(), 2);
    }
}

fn a_capacity_without_bounds_takes_no_more_than_what_is_ready<T: Subject>() {
    let (mut selector, keys, _peers) = all_ready::<T>(4);
    let mut events = Events::with_capacity(NonZeroUsize::MAX);
    for _ in 0..2 {
        let mut found: Vec<_> = selector.select(&mut events, Some(DEADLINE)).unwrap().collect();
        found.sort_by_key(|(key, _)| *key);
        assert!(found.into_iter().map(|(key, _)| key).eq(keys.iter().copied()));
    }
}

/// The buffer goes from the one to the other, which has the same slots.
fn what_one_selector_finds_is_not_struck_out_by_another_on_its_thread<T: Subject>() {
    let (mut one, mut ones_keys, _peers) = all_ready::<T>(8);
    let (sender, receiver) = mpsc::channel::<Events>();
    let other = thread::spawn(move || {
        let (mut other, others_keys, _peers) = all_ready::<T>(8);
        for mut events in receiver {
            let found = other.select(&mut events, Some(DEADLINE)).unwrap().count();
            assert_eq!(found, others_keys.len());
            assert_eq!(events.iter().count(), others_keys.len());
        }
    });
    for _ in 0..50 {
        let mut events = Events::new();
        assert_eq!(one.select(&mut events, Some(DEADLINE)).unwrap().count(), ones_keys.len());
        sender.send(events).unwrap();
        for key in &mut ones_keys {
            let (source, data) = one.unregister(*key).unwrap().into_parts();
            *key = one.register(source, Interest::READ, data).unwrap();
        }
    }
    drop(sender);
    other.join().unwrap();
}

fn a_key_that_stood_behind_the_end_of_a_smaller_batch_can_be_unregistered<T: Subject>() {
    let (mut selector, keys, _peers) = all_ready::<T>(4);
    selector.select(&mut Events::new(), Some(DEADLINE)).unwrap();
    let mut smaller = buffer(3);
    selector.select(&mut smaller, Some(DEADLINE)).unwrap();
    let is_left_out = |key: &&Key| smaller.iter().all(|(other, _)| other != **key);
    let left_out: Vec<_> = keys.iter().filter(is_left_out).collect();
    assert_eq!(left_out.len(), 1);
    selector.unregister(*left_out[0]).unwrap();
    assert_eq!(smaller.iter().count(), 3);
}
