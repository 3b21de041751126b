//! A descriptor that was closed behind the selector's back, and perhaps lives on by a duplicate:
//! no busy loop, no event for a key that is gone, and the source comes back all the same.

use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use selkie::selector::{Backend, BackendKind, ReadyList, Until};
use selkie::{Events, Interest, Key, Mode, Readiness, Selector};

use crate::liar;
use crate::util::{Closable, DEADLINE, Subject, Wrapped, assert_silent, descriptors, next_batch};
use crate::util::{on_every_back_end, ready_now, ready_unix_pair, unix_pair, wait_for};

on_every_back_end! {
    a_closed_descriptor_does_not_spin_and_its_source_comes_back,
    many_closed_descriptors_do_not_spin,
    a_closed_neighbour_keeps_nobody_from_being_reported,
    a_closed_neighbour_is_in_the_batch_of_those_that_are_ready,
    a_duplicate_that_outlives_close_is_no_event_for_a_key_that_is_gone,
    a_duplicate_that_outlives_close_is_got_rid_of_among_busy_neighbours,
    after_that_all_other_registrations_still_work,
    a_neighbour_that_is_closed_as_well_is_no_error_to_that,
    a_fired_oneshot_stays_silent_after_that,
    a_notification_is_neither_lost_nor_repeated_by_that,
    a_number_that_comes_back_as_the_same_file_is_not_registered_already,
    a_number_that_comes_back_as_another_file_gets_no_old_event,
    a_number_that_goes_from_file_to_file_and_back_leaves_none_behind,
    unregistering_late_leaves_the_next_owner_of_the_number_alone,
    to_modify_to_the_same_interest_is_an_error_once_the_descriptor_is_closed,
    what_was_modified_to_the_same_interest_is_watched,
    modifying_a_closed_descriptor_is_an_error_that_changes_nothing,
}

fn close_behind<D, B: Backend>(selector: &Selector<Closable, D, B>, key: Key) {
    descriptors::close(selector[key].source.number());
}

/// poll(2) and select(2) are told that the number is closed, and pass it on once, as an error.
/// Of the set of epoll, and so of polling's, it falls out in silence.
fn expect_closed<T: Subject>(selector: &mut Selector<Closable, (), T::Backend>, key: Key) {
    if matches!(T::KIND, BackendKind::Poll | BackendKind::Select) {
        assert_eq!(next_batch(selector), [(key, Readiness::READ | Readiness::ERROR)]);
    }
}

fn a_closed_descriptor_does_not_spin_and_its_source_comes_back<T: Subject>() {
    for mode in [Mode::Level, Mode::Oneshot] {
        let mut selector = T::selector();
        let (source, _peer) = ready_unix_pair();
        let source = Closable::duplicate_of(source);
        let number = source.number();
        let key = selector.register_with_mode(source, Interest::READ, mode, ()).unwrap();
        close_behind(&selector, key);
        expect_closed::<T>(&mut selector, key);
        assert_silent(&mut selector);
        assert_eq!(selector.unregister(key).unwrap().source.number(), number);
        assert!(selector.is_empty());
        assert_silent(&mut selector);
    }
}

fn many_closed_descriptors_do_not_spin<T: Subject>() {
    let mut selector = T::selector();
    let mut keys = Vec::new();
    for _ in 0..3 {
        let source = Closable::duplicate_of(unix_pair().0);
        keys.push(selector.register(source, Interest::READ, ()).unwrap());
    }
    for key in &keys {
        close_behind(&selector, *key);
    }
    let mut events = Events::with_capacity(NonZeroUsize::MIN);
    for _ in 0..keys.len() {
        selector.select(&mut events, Some(Duration::ZERO)).unwrap();
    }
    assert_silent(&mut selector);
    for key in keys {
        selector.unregister(key).unwrap();
    }
    assert_silent(&mut selector);
}

/// select(2) fails as a whole if one of its descriptors is closed.
fn a_closed_neighbour_keeps_nobody_from_being_reported<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = unix_pair();
    let closed = Closable::duplicate_of(unix_pair().0);
    let key = selector.register(Closable::duplicate_of(source), Interest::READ, ()).unwrap();
    let closed = selector.register(closed, Interest::READ, ()).unwrap();
    close_behind(&selector, closed);
    peer.write_all(b"!").unwrap();
    wait_for(&mut selector, key, Readiness::READ);
    wait_for(&mut selector, key, Readiness::READ);
    selector.notifier().notify().unwrap();
    selector.unregister(closed).unwrap();
    wait_for(&mut selector, key, Readiness::READ);
}

/// And makes nobody ready who is not.
fn a_closed_neighbour_is_in_the_batch_of_those_that_are_ready<T: Subject>() {
    let mut selector = T::selector();
    let (idle, ready) = (unix_pair(), ready_unix_pair());
    let closed = Closable::duplicate_of(unix_pair().0);
    let closed = selector.register(closed, Interest::READ, ()).unwrap();
    for source in [&idle.0, &ready.0] {
        selector.register(Closable::duplicate_of(source), Interest::READ, ()).unwrap();
    }
    close_behind(&selector, closed);
    let is_reported = matches!(T::KIND, BackendKind::Poll | BackendKind::Select);
    assert_eq!(next_batch(&mut selector).len(), 1 + usize::from(is_reported));
    assert_eq!(next_batch(&mut selector).len(), 1);
}

/// Epoll watches the open file, not the number: as long as a duplicate lives it goes on
/// reporting, and the number is no more, by which it could be told to stop.
fn a_duplicate_that_outlives_close_is_no_event_for_a_key_that_is_gone<T: Subject>() {
    let modes = [Mode::Level, Mode::Oneshot, Mode::Edge];
    for mode in modes.into_iter().filter(|mode| T::has_edges() || *mode != Mode::Edge) {
        let mut selector = T::selector();
        let (mut duplicate, mut peer) = ready_unix_pair();
        let source = Closable::duplicate_of(&duplicate);
        let key = selector.register_with_mode(source, Interest::READ, mode, ()).unwrap();
        close_behind(&selector, key);
        selector.unregister(key).unwrap();
        assert_silent(&mut selector);
        duplicate.read_exact(&mut [0]).unwrap();
        peer.write_all(b"!").unwrap();
        assert_silent(&mut selector);
        // And after a first select had found it open.
        let source = Closable::duplicate_of(&duplicate);
        let key = selector.register_with_mode(source, Interest::READ, mode, ()).unwrap();
        assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
        close_behind(&selector, key);
        selector.unregister(key).unwrap();
        assert_silent(&mut selector);
    }
}

/// The busy neighbour is reported by each select, so none of them is in vain; but once it is
/// idle, nothing may be left.
fn a_duplicate_that_outlives_close_is_got_rid_of_among_busy_neighbours<T: Subject>() {
    let mut selector = T::selector();
    let (busy, _busy_peer) = ready_unix_pair();
    let busy = selector.register(Closable::duplicate_of(&busy), Interest::READ, ()).unwrap();
    let (duplicate, _peer) = ready_unix_pair();
    let key = selector.register(Closable::duplicate_of(&duplicate), Interest::READ, ()).unwrap();
    close_behind(&selector, key);
    selector.unregister(key).unwrap();
    for _ in 0..3 {
        assert_eq!(wait_for(&mut selector, busy, Readiness::READ), Readiness::READ);
    }
    rustix::io::read(&selector[busy].source, &mut [0_u8; 8]).unwrap();
    assert_silent(&mut selector);
}

/// Leaves behind in `selector` a file that is ready and that no number names; the returned pair
/// keeps it alive.
fn leave_an_orphan<B: Backend>(
    selector: &mut Selector<Closable, (), B>,
) -> (UnixStream, UnixStream) {
    let (duplicate, peer) = ready_unix_pair();
    let key = selector.register(Closable::duplicate_of(&duplicate), Interest::READ, ()).unwrap();
    close_behind(selector, key);
    selector.unregister(key).unwrap();
    (duplicate, peer)
}

fn after_that_all_other_registrations_still_work<T: Subject>() {
    let mut selector = T::selector();
    let edge = if T::has_edges() { Mode::Edge } else { Mode::Level };
    let mut pairs = Vec::new();
    for mode in [Mode::Level, edge, Mode::Oneshot] {
        let (source, peer) = unix_pair();
        let closable = Closable::duplicate_of(&source);
        let key = selector.register_with_mode(closable, Interest::READ, mode, ()).unwrap();
        pairs.push((key, peer, source));
    }
    let notifier = selector.notifier();
    for _ in 0..2 {
        let _orphan = leave_an_orphan(&mut selector);
        assert_silent(&mut selector);
        for (key, peer, source) in &mut pairs {
            peer.write_all(b"!").unwrap();
            assert_eq!(next_batch(&mut selector), [(*key, Readiness::READ)]);
            source.read_exact(&mut [0]).unwrap();
            assert_silent(&mut selector);
            selector.modify(*key, Interest::READ).unwrap();
        }
        notifier.notify().unwrap();
        assert_eq!(ready_now(&mut selector), []);
        assert_silent(&mut selector);
    }
    for (key, ..) in pairs {
        selector.unregister(key).unwrap();
    }
    assert_silent(&mut selector);
}

fn a_neighbour_that_is_closed_as_well_is_no_error_to_that<T: Subject>() {
    let mut selector = T::selector();
    let (duplicate, _peer) = ready_unix_pair();
    let orphan = selector.register(Closable::duplicate_of(&duplicate), Interest::READ, ()).unwrap();
    let closed = Closable::duplicate_of(unix_pair().0);
    let closed = selector.register(closed, Interest::READ, ()).unwrap();
    let (source, mut peer) = unix_pair();
    let key = selector.register(Closable::duplicate_of(source), Interest::READ, ()).unwrap();
    close_behind(&selector, orphan);
    selector.unregister(orphan).unwrap();
    close_behind(&selector, closed);
    expect_closed::<T>(&mut selector, closed);
    assert_silent(&mut selector);
    peer.write_all(b"!").unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
}

fn a_fired_oneshot_stays_silent_after_that<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let source = Closable::duplicate_of(&source);
    let key = selector.register_with_mode(source, Interest::READ, Mode::Oneshot, ()).unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    let _orphan = leave_an_orphan(&mut selector);
    assert_silent(&mut selector);
    selector.modify(key, Interest::READ).unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    selector.unregister(key).unwrap();
    assert_silent(&mut selector);
}

/// Getting rid of it means a new set for epoll: a notification that was taken must not end a
/// select again, and one that comes just before must not be lost with the old set.
fn a_notification_is_neither_lost_nor_repeated_by_that<T: Subject>() {
    let mut selector = T::selector();
    selector.notifier().notify().unwrap();
    assert_eq!(ready_now(&mut selector), []);
    let _orphan = leave_an_orphan(&mut selector);
    assert_silent(&mut selector);

    let _truth = liar::no_lies("the waits are counted");
    let (backend, mut waits) = (T::open(), 0);
    let notifier = backend.notifier();
    let wait = |inner: &mut T::Backend, ready: &mut ReadyList, until| {
        waits += 1;
        if waits > 1 {
            return inner.wait(ready, until);
        }
        inner.wait(ready, Until::Now)?;
        notifier.notify()
    };
    let mut selector = Selector::with_backend(Wrapped::new(backend, wait));
    let _orphan = leave_an_orphan(&mut selector);
    let start = Instant::now();
    assert_eq!(selector.select(&mut Events::new(), Some(2 * DEADLINE)).unwrap().count(), 0);
    assert!(start.elapsed() < DEADLINE, "the notification was lost");
    assert_silent(&mut selector);
}

/// In epoll's set the registration is still there, and adding it again is EEXIST.
fn a_number_that_comes_back_as_the_same_file_is_not_registered_already<T: Subject>() {
    for mode in [Mode::Level, Mode::Oneshot] {
        for select_in_between in [false, true] {
            let mut selector = T::selector();
            let (mut duplicate, mut peer) = ready_unix_pair();
            let source = Closable::duplicate_of(&duplicate);
            let number = source.number();
            let stale = selector.register_with_mode(source, Interest::READ, mode, ()).unwrap();
            close_behind(&selector, stale);
            selector.unregister(stale).unwrap();
            if select_in_between {
                assert_silent(&mut selector);
            }
            let source = Closable::at(number, &duplicate);
            let key = selector.register(source, Interest::READ, ()).unwrap();
            assert_ne!(stale, key);
            assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
            duplicate.read_exact(&mut [0]).unwrap();
            assert_silent(&mut selector);
            peer.write_all(b"!").unwrap();
            assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
            selector.unregister(key).unwrap();
            assert_silent(&mut selector);
        }
    }
}

fn a_number_that_comes_back_as_another_file_gets_no_old_event<T: Subject>() {
    let mut selector = T::selector();
    let (duplicate, _peer) = ready_unix_pair();
    let source = Closable::duplicate_of(&duplicate);
    let number = source.number();
    let stale = selector.register(source, Interest::READ, ()).unwrap();
    close_behind(&selector, stale);
    selector.unregister(stale).unwrap();
    let (other, mut others_peer) = unix_pair();
    let key = selector.register(Closable::at(number, &other), Interest::READ, ()).unwrap();
    assert_silent(&mut selector);
    others_peer.write_all(b"!").unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
}

/// Epoll's set has both files under the number by then, and to remove it removes the first.
fn a_number_that_goes_from_file_to_file_and_back_leaves_none_behind<T: Subject>() {
    let (one, _one_peer) = ready_unix_pair();
    let (other, _other_peer) = ready_unix_pair();
    let modes = [Mode::Oneshot, Mode::Edge];
    for mode in modes.into_iter().filter(|mode| T::has_edges() || *mode != Mode::Edge) {
        let mut selector = T::selector();
        let source = Closable::duplicate_of(&one);
        let number = source.number();
        let first = selector.register_with_mode(source, Interest::READ, mode, ()).unwrap();
        close_behind(&selector, first);
        let key = if mode == Mode::Oneshot {
            let _other = Closable::at(number, &other);
            assert_eq!(next_batch(&mut selector), [(first, Readiness::READ)]);
            selector.modify_with_mode(first, Interest::READ, Mode::Level).unwrap();
            first
        } else {
            selector.unregister(first).unwrap();
            selector.register(Closable::at(number, &other), Interest::READ, ()).unwrap()
        };
        close_behind(&selector, key);
        let _one = Closable::at(number, &one);
        selector.unregister(key).unwrap();
        assert_silent(&mut selector);
        descriptors::close(number);
    }
}

/// The number belongs to somebody else by then, in another selector.
fn unregistering_late_leaves_the_next_owner_of_the_number_alone<T: Subject>() {
    let (mut one, mut other) = (T::selector(), T::selector());
    let (duplicate, _peer) = ready_unix_pair();
    let source = Closable::duplicate_of(&duplicate);
    let number = source.number();
    let stale = one.register(source, Interest::READ, ()).unwrap();
    close_behind(&one, stale);
    let (next, mut peer) = unix_pair();
    let key = other.register(Closable::at(number, &next), Interest::READ, ()).unwrap();
    one.unregister(stale).unwrap();
    assert_silent(&mut one);
    peer.write_all(b"!").unwrap();
    assert_eq!(next_batch(&mut other), [(key, Readiness::READ)]);
    // Here too, now that the number is free in the first one.
    let source = other.unregister(key).unwrap().source;
    let key = one.register(source, Interest::READ, ()).unwrap();
    assert_eq!(next_batch(&mut one), [(key, Readiness::READ)]);
}

/// Silent after it was told that it is closed, it is not as it was.
fn to_modify_to_the_same_interest_is_an_error_once_the_descriptor_is_closed<T: Subject>() {
    for mode in [Mode::Level, Mode::Oneshot] {
        let mut selector = T::selector();
        let source = Closable::duplicate_of(unix_pair().0);
        let key = selector.register_with_mode(source, Interest::READ, mode, ()).unwrap();
        close_behind(&selector, key);
        expect_closed::<T>(&mut selector, key);
        assert_silent(&mut selector);
        let error = selector.modify(key, Interest::READ).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::BADF.raw_os_error()));
        assert_silent(&mut selector);
    }
}

/// The number is in use again: either it is watched from now on, or it is an error.
fn what_was_modified_to_the_same_interest_is_watched<T: Subject>() {
    let mut selector = T::selector();
    let (duplicate, mut peer) = unix_pair();
    let source = Closable::duplicate_of(unix_pair().0);
    let number = source.number();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    close_behind(&selector, key);
    expect_closed::<T>(&mut selector, key);
    let _again = Closable::at(number, &duplicate);
    peer.write_all(b"!").unwrap();
    match selector.modify(key, Interest::READ) {
        Ok(()) => assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]),
        Err(error) => assert_eq!(error.raw_os_error(), Some(Errno::NOENT.raw_os_error())),
    }
}

fn modifying_a_closed_descriptor_is_an_error_that_changes_nothing<T: Subject>() {
    let mut selector = T::selector();
    let source = Closable::duplicate_of(unix_pair().0);
    let number = source.number();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    close_behind(&selector, key);
    let error = selector.modify(key, Interest::WRITE).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::BADF.raw_os_error()));
    assert_eq!((selector[key].interest, selector.len()), (Interest::READ, 1));
    assert_eq!(selector.unregister(key).unwrap().source.number(), number);
}
