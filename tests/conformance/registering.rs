//! The map of registrations: who owns what, what the keys name, and what comes back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use rustix::fs::{OFlags, fcntl_getfl};
use selkie::{Events, Interest, Key, Mode, Readiness, Selector};

use crate::util::{DEADLINE, Subject, next_batch, on_every_back_end, ready_now, wait_for};
use crate::util::{assert_silent, ready_unix_pair, tcp_pair, unix_pair};

on_every_back_end! {
    a_stream_by_value_is_closed_with_the_selector,
    a_shared_source_stays_usable_by_its_other_owners,
    a_borrowed_descriptor_is_a_source,
    registering_leaves_the_blocking_mode_alone,
    unregister_hands_back_the_source_and_the_data,
    the_map_can_be_read_in_every_way,
    data_mut_changes_the_data,
    a_stale_key_names_nothing,
    a_foreign_key_names_nothing,
    indexing_by_a_stale_key_panics_with_a_clear_text,
    into_registrations_gives_everything_back,
    modify_changes_what_is_reported,
    modify_to_the_same_interest_keeps_reporting,
    a_source_can_be_registered_again,
    duplicates_of_a_descriptor_are_sources_of_their_own,
    one_source_can_be_registered_in_two_selectors,
    the_data_may_be_a_callback_that_uses_the_selector,
    a_selector_moves_to_another_thread,
    the_debug_text_names_the_back_end,
}

fn a_stream_by_value_is_closed_with_the_selector<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = tcp_pair();
    peer.set_nonblocking(false).unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    peer.write_all(b"hello").unwrap();
    wait_for(&mut selector, key, Readiness::READ);
    let mut bytes = [0; 8];
    assert_eq!((&selector[key].source).read(&mut bytes).unwrap(), 5);
    drop(selector);
    assert_eq!(peer.read(&mut bytes).unwrap(), 0, "the source was not closed");
}

fn a_shared_source_stays_usable_by_its_other_owners<T: Subject>() {
    let (source, mut peer) = unix_pair();
    let source = Rc::new(source);
    let mut selector = T::selector();
    let key = selector.register(Rc::clone(&source), Interest::READ, ()).unwrap();
    peer.write_all(b"!").unwrap();
    wait_for(&mut selector, key, Readiness::READ);
    assert_eq!((&*source).read(&mut [0; 8]).unwrap(), 1);
    drop(selector);
    assert_eq!(Rc::strong_count(&source), 1);

    let (source, mut peer) = tcp_pair();
    let source = Arc::new(source);
    let mut selector = T::selector();
    let key = selector.register(Arc::clone(&source), Interest::READ, ()).unwrap();
    peer.write_all(b"!").unwrap();
    wait_for(&mut selector, key, Readiness::READ);
    assert_eq!((&*source).read(&mut [0; 8]).unwrap(), 1);
    drop(selector);
    assert_eq!(Arc::strong_count(&source), 1);
}

fn a_borrowed_descriptor_is_a_source<T: Subject>() {
    let (mut source, mut peer) = ready_unix_pair();
    let mut selector = T::selector();
    let key = selector.register(source.as_fd(), Interest::READ, ()).unwrap();
    wait_for(&mut selector, key, Readiness::READ);
    drop(selector);
    assert_eq!(source.read(&mut [0; 8]).unwrap(), 1);
    peer.write_all(b"it was not closed").unwrap();
}

/// O_NONBLOCK is a property of the open file, not of the descriptor: set on a terminal, it
/// would stay with the shell.
fn registering_leaves_the_blocking_mode_alone<T: Subject>() {
    let (blocking, _peer) = UnixStream::pair().unwrap();
    let before = fcntl_getfl(&blocking).unwrap();
    assert!(!before.contains(OFlags::NONBLOCK));
    let mut selector = T::selector();
    let key = selector.register(blocking, Interest::READ | Interest::WRITE, ()).unwrap();
    next_batch(&mut selector);
    assert_eq!(fcntl_getfl(&selector[key].source).unwrap(), before);
    let (blocking, ()) = selector.unregister(key).unwrap().into_parts();
    assert_eq!(fcntl_getfl(&blocking).unwrap(), before);
}

fn unregister_hands_back_the_source_and_the_data<T: Subject>() {
    let (source, _peer) = ready_unix_pair();
    let fd = source.as_raw_fd();
    let mut selector = T::selector();
    let key = selector
        .register_with_mode(source, Interest::READ, Mode::Oneshot, String::from("my own"))
        .unwrap();
    let registered = selector.unregister(key).unwrap();
    assert_eq!(registered.interest, Interest::READ);
    assert_eq!(registered.mode, Mode::Oneshot);
    let (source, data) = registered.into_parts();
    assert_eq!((source.as_raw_fd(), data.as_str()), (fd, "my own"));
    assert!(selector.is_empty());
    assert_silent(&mut selector);
}

fn the_map_can_be_read_in_every_way<T: Subject>() {
    let mut selector = T::selector();
    assert!(selector.is_empty());
    let mut keys = Vec::new();
    let mut peers = Vec::new();
    for name in ["first", "second", "third"] {
        let (source, peer) = unix_pair();
        keys.push((selector.register(source, Interest::READ, name).unwrap(), name));
        peers.push(peer);
    }
    assert_eq!(selector.len(), 3);
    for &(key, name) in &keys {
        assert_eq!(selector[key].data, name);
        assert_eq!(selector[key].interest, Interest::READ);
        assert_eq!(selector[key].mode, Mode::Level);
        let registered = selector.get(key).unwrap();
        assert_eq!(registered.data, name);
        assert_eq!(selector.key_of(&registered.source), Some(key));
    }
    let mut listed: Vec<_> = selector.iter().map(|(key, value)| (key, value.data)).collect();
    listed.sort();
    keys.sort();
    assert_eq!(listed, keys);
    assert_eq!(selector.key_of(&peers[0]), None);
    selector.unregister(keys[0].0).unwrap();
    assert_eq!((selector.len(), selector.iter().count()), (2, 2));
}

fn data_mut_changes_the_data<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = unix_pair();
    let key = selector.register(source, Interest::READ, 1).unwrap();
    *selector.data_mut(key).unwrap() += 1;
    assert_eq!(selector[key].data, 2);
    selector.unregister(key).unwrap();
    assert_eq!(selector.data_mut(key), None);
}

/// The slot and the descriptor number are in use again, but by another registration.
fn a_stale_key_names_nothing<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let stale = selector.register(source, Interest::READ, "old").unwrap();
    let (source, _) = selector.unregister(stale).unwrap().into_parts();
    let key = selector.register(source, Interest::READ, "new").unwrap();
    assert_ne!(stale, key);
    assert!(selector.get(stale).is_none());
    assert!(selector.data_mut(stale).is_none());
    assert_eq!(selector.key_of(&selector[key].source), Some(key));
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
}

fn a_foreign_key_names_nothing<T: Subject>() {
    let (mut selector, mut other) = (T::selector(), T::selector());
    let (source, _peer) = unix_pair();
    let (others_source, _others_peer) = unix_pair();
    let key = selector.register(source, Interest::READ, "mine").unwrap();
    let foreign = other.register(others_source, Interest::READ, "yours").unwrap();
    assert_ne!(key, foreign);
    assert!(selector.get(foreign).is_none());
    assert!(selector.data_mut(foreign).is_none());
    assert!(other.get(key).is_none());
    assert_eq!((selector[key].data, other[foreign].data), ("mine", "yours"));
}

fn indexing_by_a_stale_key_panics_with_a_clear_text<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    selector.unregister(key).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| selector[key].interest)).unwrap_err();
    let text = panicked.downcast_ref::<String>().unwrap();
    assert!(text.contains(&format!("{key:?} is not registered here")), "{text}");
    assert!(text.contains("it was unregistered, or it is a key of another selector"), "{text}");
}

fn into_registrations_gives_everything_back<T: Subject>() {
    let mut selector = T::selector();
    let mut expected = Vec::new();
    let mut peers = Vec::new();
    for number in 0..3 {
        let (source, peer) = ready_unix_pair();
        expected.push((number, source.as_raw_fd()));
        selector.register(source, Interest::READ, number).unwrap();
        peers.push(peer);
    }
    let keys: Vec<_> = selector.into_registrations().collect();
    let mut given: Vec<_> = keys.iter().map(|key| (key.data, key.source.as_raw_fd())).collect();
    given.sort();
    assert_eq!(given, expected);
    for key in keys {
        assert_eq!((&key.source).read(&mut [0; 8]).unwrap(), 1, "a source is closed");
    }
}

fn modify_changes_what_is_reported<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
    selector.modify(key, Interest::WRITE).unwrap();
    assert_eq!(selector[key].interest, Interest::WRITE);
    assert_eq!(ready_now(&mut selector), [(key, Readiness::WRITE)]);
    selector.modify(key, Interest::READ | Interest::WRITE).unwrap();
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ | Readiness::WRITE)]);
    selector.modify(key, Interest::PRIORITY).unwrap();
    assert_silent(&mut selector);
}

fn modify_to_the_same_interest_keeps_reporting<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    for _ in 0..3 {
        selector.modify(key, Interest::READ).unwrap();
        assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
    }
}

fn a_source_can_be_registered_again<T: Subject>() {
    let mut selector = T::selector();
    let (mut source, _peer) = ready_unix_pair();
    let mut keys = Vec::new();
    for _ in 0..3 {
        let key = selector.register(source, Interest::READ, ()).unwrap();
        assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
        keys.push(key);
        (source, _) = selector.unregister(key).unwrap().into_parts();
    }
    keys.dedup();
    assert_eq!(keys.len(), 3, "a key was used twice");
}

fn duplicates_of_a_descriptor_are_sources_of_their_own<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let duplicate = source.try_clone().unwrap();
    let reader = selector.register(source, Interest::READ, ()).unwrap();
    let writer = selector.register(duplicate, Interest::WRITE, ()).unwrap();
    let mut expected = [(reader, Readiness::READ), (writer, Readiness::WRITE)];
    expected.sort_by_key(|(key, _)| *key);
    assert_eq!(ready_now(&mut selector), expected);
    selector.unregister(reader).unwrap();
    assert_eq!(ready_now(&mut selector), [(writer, Readiness::WRITE)]);
}

fn one_source_can_be_registered_in_two_selectors<T: Subject>() {
    let (source, _peer) = ready_unix_pair();
    let source = Rc::new(source);
    let (mut one, mut other) = (T::selector(), T::selector());
    let reader = one.register(Rc::clone(&source), Interest::READ, ()).unwrap();
    let writer = other.register(source, Interest::WRITE, ()).unwrap();
    assert_eq!(ready_now(&mut one), [(reader, Readiness::READ)]);
    assert_eq!(ready_now(&mut other), [(writer, Readiness::WRITE)]);
}

/// What a callback is given: all that the document's callbacks use.
type Callback<B> = fn(&mut Loop<B>, Key);

struct Loop<B> {
    selector: Selector<UnixStream, Handler<B>, B>,
    trace: Vec<&'static str>,
}

struct Handler<B>(Callback<B>);

/// As in the document: one callback for each key, which registers and unregisters.
fn the_data_may_be_a_callback_that_uses_the_selector<T: Subject>() {
    let (source, mut peer) = ready_unix_pair();
    let mut state = Loop { selector: T::selector::<_, Handler<T::Backend>>(), trace: vec![] };
    let read: Callback<T::Backend> = |state, key| {
        state.trace.push("read");
        let count = (&state.selector[key].source).read(&mut [0; 8]).unwrap();
        if count == 0 {
            state.trace.push("closed");
            state.selector.unregister(key).unwrap();
        } else {
            let (source, _peer) = ready_unix_pair();
            let reply: Callback<T::Backend> = |state, key| {
                state.trace.push("another");
                state.selector.unregister(key).unwrap();
            };
            state.selector.register(source, Interest::READ, Handler(reply)).unwrap();
        }
    };
    state.selector.register(source, Interest::READ, Handler(read)).unwrap();
    let mut events = Events::new();
    while !state.selector.is_empty() {
        let found = state.selector.select(&mut events, Some(DEADLINE)).unwrap();
        for (key, _readiness) in found {
            let callback = state.selector[key].data.0;
            callback(&mut state, key);
        }
        if state.trace == ["read", "another"] {
            peer.shutdown(std::net::Shutdown::Both).unwrap();
        }
        assert!(state.trace.len() <= 4, "it does not come to an end: {:?}", state.trace);
    }
    assert_eq!(state.trace, ["read", "another", "read", "closed"]);
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
}

fn assert_send<S: Send>(value: S) -> S {
    value
}

/// Also checked at compile time: a selector, its events and its errors are `Send` when their
/// parts are.
fn a_selector_moves_to_another_thread<T: Subject>() {
    let mut selector = assert_send(T::selector());
    let mut events = assert_send(Events::new());
    let (source, _peer) = ready_unix_pair();
    let key = assert_send(selector.register(source, Interest::READ, ()).map_err(assert_send));
    let key = key.unwrap();
    let other = thread::spawn(move || {
        let found: Vec<_> = selector.select(&mut events, Some(DEADLINE)).unwrap().collect();
        assert_eq!(found, [(key, Readiness::READ)]);
        selector.unregister(key).unwrap()
    });
    assert_eq!(other.join().unwrap().interest, Interest::READ);
}

fn the_debug_text_names_the_back_end<T: Subject>() {
    let selector = T::selector::<TcpStream, ()>();
    let text = format!("{selector:?}");
    assert!(text.contains(T::KIND.name()) && text.contains("len: 0"), "{text}");
}
