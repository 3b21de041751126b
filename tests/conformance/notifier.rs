//! A notification is never lost, wakes once, and may come from anywhere at any time.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use selkie::selector::{Backend, ReadyList, Token};
use selkie::{Events, Interest, Mode, Notifier, Readiness, Selector};
use socket2::SockRef;

use crate::liar;
use crate::util::sockets::wait_in_kernel;
use crate::util::{DEADLINE, SILENCE, Subject, Wrapped, assert_silent, on_every_back_end};
use crate::util::{ready_now, ready_unix_pair, tcp_pair, unix_pair};

on_every_back_end! {
    a_notification_from_another_thread_ends_a_blocked_select,
    a_notification_before_the_select_ends_it_at_once,
    many_notifications_cost_one_wake_up,
    a_notification_is_one_wait,
    a_zero_timeout_takes_a_notification,
    ready_keys_are_reported_beside_a_notification,
    a_notification_is_not_lost_when_the_batch_is_full,
    a_notification_beside_an_event_of_nobody_ends_the_select,
    a_notification_beside_an_event_that_is_masked_ends_the_select,
    an_empty_batch_tells_a_notification_from_a_timeout,
    no_notification_of_many_threads_is_lost,
    a_notification_between_two_threads_carries_what_was_written,
    notifying_after_the_selector_is_gone_does_nothing,
    every_notifier_of_a_selector_wakes_it,
    one_selector_is_not_woken_by_the_notifier_of_another,
}

/// Selects without a limit, or at least one that is longer than a test may last, and insists that
/// a notification ended it and nothing was ready.
#[track_caller]
fn expect_notification<B: Backend>(selector: &mut Selector<UnixStream, (), B>) {
    let start = Instant::now();
    let mut events = Events::new();
    assert_eq!(selector.select(&mut events, Some(2 * DEADLINE)).unwrap().count(), 0);
    assert!(events.is_empty() && events.is_notified());
    assert!(start.elapsed() < DEADLINE, "the notification was lost");
}

fn a_notification_from_another_thread_ends_a_blocked_select<T: Subject>() {
    let mut selector = T::selector::<UnixStream, ()>();
    let (source, _peer) = unix_pair();
    selector.register(source, Interest::READ, ()).unwrap();
    let (notifier, notified) = (selector.notifier(), Arc::new(AtomicBool::new(false)));
    let other = thread::spawn({
        let notified = Arc::clone(&notified);
        move || {
            thread::sleep(SILENCE); // Time to block; were it too short, the test would still hold.
            notified.store(true, Ordering::Relaxed);
            notifier.notify().unwrap();
        }
    });
    assert_eq!(selector.select(&mut Events::new(), None).unwrap().count(), 0);
    assert!(notified.load(Ordering::Relaxed), "it ended before the notification");
    other.join().unwrap();
    assert_silent(&mut selector);
}

fn a_notification_before_the_select_ends_it_at_once<T: Subject>() {
    let mut selector = T::selector();
    let notifier = selector.notifier();
    for _ in 0..3 {
        notifier.notify().unwrap();
        expect_notification(&mut selector);
        assert_silent(&mut selector);
    }
}

fn many_notifications_cost_one_wake_up<T: Subject>() {
    let mut selector = T::selector();
    let notifier = selector.notifier();
    for _ in 0..2 {
        (0..1_000).for_each(|_| notifier.notify().unwrap());
        expect_notification(&mut selector);
        assert_silent(&mut selector);
    }
}

/// Not one that ends early and another that ends by the notification.
fn a_notification_is_one_wait<T: Subject>() {
    let waits = AtomicUsize::new(0);
    let _truth = liar::no_lies("the waits are counted");
    let counting = Wrapped::new(T::open(), |inner: &mut T::Backend, ready: &mut _, until| {
        waits.fetch_add(1, Ordering::Relaxed);
        inner.wait(ready, until)
    });
    let mut selector = Selector::with_backend(counting);
    let notifier = selector.notifier();
    for round in 1..=5 {
        notifier.notify().unwrap();
        expect_notification(&mut selector);
        assert_eq!(waits.load(Ordering::Relaxed), round);
    }
}

fn a_zero_timeout_takes_a_notification<T: Subject>() {
    let mut selector = T::selector::<UnixStream, ()>();
    selector.notifier().notify().unwrap();
    assert_eq!(ready_now(&mut selector), []);
    assert_silent(&mut selector);
}

fn ready_keys_are_reported_beside_a_notification<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let key = selector.register_with_mode(source, Interest::READ, Mode::Oneshot, ()).unwrap();
    selector.notifier().notify().unwrap();
    let mut events = Events::new();
    let mut found: Vec<_> = selector.select(&mut events, Some(DEADLINE)).unwrap().collect();
    if found.is_empty() {
        // Allowed: the notification came first. The key is not lost.
        found = selector.select(&mut events, Some(DEADLINE)).unwrap().collect();
    }
    assert_eq!(found, [(key, Readiness::READ)]);
    selector.notifier().notify().unwrap();
    expect_notification(&mut selector);
    assert_silent(&mut selector);
}

/// Two keys always fill the batch of one; the notification must still be taken some time, so
/// that it does not end a select long after.
fn a_notification_is_not_lost_when_the_batch_is_full<T: Subject>() {
    let mut selector = T::selector();
    let notifier = selector.notifier();
    let ((one, _one_peer), (other, _other_peer)) = (ready_unix_pair(), ready_unix_pair());
    let keys = [one, other].map(|source| selector.register(source, Interest::READ, ()).unwrap());
    notifier.notify().unwrap();
    let mut events = Events::with_capacity(std::num::NonZeroUsize::MIN);
    for _ in 0..10 {
        selector.select(&mut events, Some(Duration::ZERO)).unwrap();
    }
    for key in keys {
        selector.unregister(key).unwrap();
    }
    // A back end that has not come to it yet ends one select by it, not more.
    let _ = ready_now(&mut selector);
    assert_silent(&mut selector);
    notifier.notify().unwrap();
    expect_notification(&mut selector);
}

/// In the wait that has the notification, and in no other, which could make up for it.
fn a_notification_beside_an_event_of_nobody_ends_the_select<T: Subject>() {
    let _truth = liar::no_lies("this lie is the test's own");
    let wait = |inner: &mut T::Backend, ready: &mut ReadyList, until| {
        inner.wait(ready, until)?;
        if ready.is_notified() {
            ready.push(Token::from_bits(0), Readiness::READ);
        }
        Ok(())
    };
    let mut selector = Selector::with_backend(Wrapped::new(T::open(), wait));
    let (source, _peer) = unix_pair();
    selector.register(source, Interest::READ, ()).unwrap();
    for _ in 0..2 {
        selector.notifier().notify().unwrap();
        expect_notification(&mut selector);
    }
}

/// Out-of-band data is readable to the `polling` crate, but not to a READ interest.
fn a_notification_beside_an_event_that_is_masked_ends_the_select<T: Subject>() {
    for mode in [Mode::Level, Mode::Oneshot] {
        let mut selector = T::selector();
        let (source, peer) = tcp_pair();
        SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        wait_in_kernel(&source, PollFlags::PRI);
        selector.register_with_mode(source, Interest::READ, mode, ()).unwrap();
        selector.notifier().notify().unwrap();
        let (start, mut events) = (Instant::now(), Events::new());
        assert_eq!(selector.select(&mut events, Some(2 * DEADLINE)).unwrap().count(), 0);
        assert!(start.elapsed() < DEADLINE, "the notification was lost");
        assert!(events.is_notified());
    }
}

fn an_empty_batch_tells_a_notification_from_a_timeout<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = unix_pair();
    selector.register(source, Interest::READ, ()).unwrap();
    let mut events = Events::new();
    for _ in 0..2 {
        selector.notifier().notify().unwrap();
        assert_eq!(selector.select(&mut events, Some(DEADLINE)).unwrap().count(), 0);
        assert!(events.is_empty() && events.is_notified());
        assert_eq!(selector.select(&mut events, Some(Duration::ZERO)).unwrap().count(), 0);
        assert!(events.is_empty() && !events.is_notified());
        selector.notifier().notify().unwrap();
        selector.select_each(&mut events, Some(DEADLINE), |_, _, (), _| panic!("idle")).unwrap();
        assert!(events.is_notified());
        selector.select_each(&mut events, Some(SILENCE), |_, _, (), _| panic!("idle")).unwrap();
        assert!(!events.is_notified());
    }
}

/// Each thread notifies again only after its last one was seen, so one that is lost is missed.
fn no_notification_of_many_threads_is_lost<T: Subject>() {
    const THREADS: usize = 3;
    const ROUNDS: usize = 200;
    let mut selector = T::selector();
    let seen = AtomicUsize::new(0);
    let said: [AtomicUsize; THREADS] = Default::default();
    thread::scope(|scope| {
        for said in &said {
            let (notifier, seen) = (selector.notifier(), &seen);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let before = seen.load(Ordering::SeqCst);
                    said.fetch_add(1, Ordering::SeqCst);
                    notifier.notify().unwrap();
                    let give_up = Instant::now() + 3 * DEADLINE;
                    while seen.load(Ordering::SeqCst) == before && Instant::now() < give_up {
                        thread::yield_now();
                    }
                }
            });
        }
        let all = || said.iter().map(|said| said.load(Ordering::SeqCst)).sum::<usize>();
        while seen.load(Ordering::SeqCst) < THREADS * ROUNDS {
            expect_notification(&mut selector);
            // What was said before the wake-up is seen with it.
            seen.store(all(), Ordering::SeqCst);
        }
    });
}

fn a_notification_between_two_threads_carries_what_was_written<T: Subject>() {
    let mut selector = T::selector();
    let (notifier, (sender, receiver)) = (selector.notifier(), mpsc::channel());
    let other = thread::spawn(move || {
        for number in 0..100 {
            sender.send(number).unwrap();
            notifier.notify().unwrap();
        }
    });
    let mut received = Vec::new();
    while received.len() < 100 {
        expect_notification(&mut selector);
        received.extend(receiver.try_iter());
    }
    assert_eq!(received, Vec::from_iter(0..100));
    other.join().unwrap();
}

fn assert_shareable<N: Clone + Send + Sync + 'static>(notifier: N) -> N {
    notifier
}

fn notifying_after_the_selector_is_gone_does_nothing<T: Subject>() {
    let selector = T::selector::<UnixStream, ()>();
    let notifier = assert_shareable(selector.notifier());
    notifier.notify().unwrap();
    drop(selector);
    notifier.notify().unwrap();
    let clone = notifier.clone();
    drop(notifier);
    thread::spawn(move || clone.notify().unwrap()).join().unwrap();
}

fn every_notifier_of_a_selector_wakes_it<T: Subject>() {
    let mut selector = T::selector();
    let one = selector.notifier();
    let notifiers: [Notifier; 3] = [one.clone(), selector.notifier(), one];
    for notifier in &notifiers {
        notifier.notify().unwrap();
        expect_notification(&mut selector);
    }
    notifiers.iter().for_each(|notifier| notifier.notify().unwrap());
    expect_notification(&mut selector);
    assert_silent(&mut selector);
}

fn one_selector_is_not_woken_by_the_notifier_of_another<T: Subject>() {
    let (mut one, mut other) = (T::selector(), T::selector::<UnixStream, ()>());
    one.notifier().notify().unwrap();
    assert_silent(&mut other);
    expect_notification(&mut one);
}
