//! `None` waits for ever, zero polls, all else is never cut short and never overflows; a signal
//! changes nothing of that (PEP 475).

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::Signal;
use selkie::selector::{Backend, OnSignal, ReadyList, Until};
use selkie::{Events, Interest, Mode, Readiness, Selector};

use crate::liar;
use crate::util::{DEADLINE, SILENCE, Subject, Wrapped, on_every_back_end, thread_cpu_time};
use crate::util::{ready_unix_pair, unix_pair};

on_every_back_end! {
    a_zero_timeout_polls,
    a_timeout_is_never_cut_short,
    a_sub_millisecond_timeout_is_not_rounded_up_to_a_whole_one,
    a_timeout_with_a_fraction_does_not_spin_until_its_deadline,
    no_timeout_waits_until_something_happens,
    an_event_ends_a_long_timeout,
    what_is_ready_already_ends_any_timeout_at_once,
    the_longest_timeouts_do_not_overflow,
    a_signal_neither_cuts_a_timeout_short_nor_begins_it_anew,
    a_signal_does_not_end_a_select_for_ever,
    a_signal_ends_a_select_that_is_to_return_for_it,
    a_select_that_a_signal_has_ended_loses_nothing,
}

fn select_nothing<B: Backend>(
    selector: &mut Selector<UnixStream, (), B>,
    timeout: Duration,
) -> Duration {
    let start = Instant::now();
    let mut events = Events::new();
    assert_eq!(selector.select(&mut events, Some(timeout)).unwrap().count(), 0);
    start.elapsed()
}

fn a_zero_timeout_polls<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    let quickest = (0..20).map(|_| select_nothing(&mut selector, Duration::ZERO)).min();
    assert!(quickest.unwrap() < Duration::from_millis(1));
    peer.write_all(b"!").unwrap();
    let mut events = Events::new();
    let found: Vec<_> = selector.select(&mut events, Some(Duration::ZERO)).unwrap().collect();
    assert_eq!(found, [(key, Readiness::READ)]);
}

fn a_timeout_is_never_cut_short<T: Subject>() {
    let mut selector = T::selector();
    for nanoseconds in [1, 999, 1_001, 300_000, 999_999, 1_000_000, 1_000_001, 2_345_678] {
        for _ in 0..5 {
            let timeout = Duration::from_nanos(nanoseconds);
            let elapsed = select_nothing(&mut selector, timeout);
            assert!(elapsed >= timeout, "{timeout:?} was cut short to {elapsed:?}");
        }
    }
}

fn a_sub_millisecond_timeout_is_not_rounded_up_to_a_whole_one<T: Subject>() {
    let mut selector = T::selector();
    let timeout = Duration::from_micros(100);
    let quickest = (0..50).map(|_| select_nothing(&mut selector, timeout)).min().unwrap();
    assert!(quickest < Duration::from_millis(1), "{timeout:?} took {quickest:?} at best");
}

/// A timeout cut down to whole milliseconds is a wait of 10 ms, and then a thousand of 0 ms.
fn a_timeout_with_a_fraction_does_not_spin_until_its_deadline<T: Subject>() {
    let waits = AtomicUsize::new(0);
    let mut selector = counting::<T>(&waits);
    let least_work = (0..5).map(|_| {
        let worked = thread_cpu_time();
        select_nothing(&mut selector, Duration::from_micros(10_900));
        assert!(waits.swap(0, Ordering::SeqCst) <= 2, "more than two waits for one timeout");
        thread_cpu_time() - worked
    });
    let least_work = least_work.min().unwrap();
    assert!(least_work < Duration::from_micros(800), "{least_work:?} of work in 10.9 ms");
}

/// A selector on `T` that counts its waits.
fn counting<T: Subject>(waits: &AtomicUsize) -> Selector<UnixStream, (), impl Backend> {
    let _truth = liar::no_lies("the waits are counted");
    let wait = |inner: &mut T::Backend, ready: &mut ReadyList, until: Until| {
        waits.fetch_add(1, Ordering::SeqCst);
        inner.wait(ready, until)
    };
    Selector::with_backend(Wrapped::new(T::open(), wait))
}

fn no_timeout_waits_until_something_happens<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    let written = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let written = Arc::clone(&written);
        move || {
            thread::sleep(SILENCE); // Time in which a select that does not wait gives itself away.
            written.store(true, Ordering::SeqCst);
            peer.write_all(b"!").unwrap();
            peer
        }
    });
    let mut events = Events::new();
    let found: Vec<_> = selector.select(&mut events, None).unwrap().collect();
    assert!(written.load(Ordering::SeqCst), "it returned before anything had happened");
    assert_eq!(found, [(key, Readiness::READ)]);
    drop(writer.join().unwrap());
}

fn an_event_ends_a_long_timeout<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    let writer = thread::spawn(move || {
        thread::sleep(SILENCE);
        peer.write_all(b"!").unwrap();
        peer
    });
    let start = Instant::now();
    let mut events = Events::new();
    let found: Vec<_> = selector.select(&mut events, Some(6 * DEADLINE)).unwrap().collect();
    assert_eq!(found, [(key, Readiness::READ)]);
    assert!(start.elapsed() < DEADLINE);
    drop(writer.join().unwrap());
}

fn what_is_ready_already_ends_any_timeout_at_once<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    for timeout in [None, Some(DEADLINE), Some(Duration::MAX), Some(Duration::ZERO)] {
        let start = Instant::now();
        let mut events = Events::new();
        let found: Vec<_> = selector.select(&mut events, timeout).unwrap().collect();
        assert_eq!(found, [(key, Readiness::READ)]);
        assert!(start.elapsed() < DEADLINE, "{timeout:?} was waited out");
    }
}

fn the_longest_timeouts_do_not_overflow<T: Subject>() {
    const LONGEST: [Duration; 7] = [
        Duration::MAX,
        Duration::from_secs(u64::MAX),
        Duration::from_secs(i64::MAX as u64),
        Duration::from_secs(i64::MAX as u64 + 1),
        Duration::from_millis(u64::MAX),
        Duration::from_millis(i32::MAX as u64 + 1),
        Duration::from_millis(u32::MAX as u64 + 1),
    ];
    let waits = AtomicUsize::new(0);
    let mut selector = counting::<T>(&waits);
    for timeout in LONGEST {
        let (notifier, notified) = (selector.notifier(), Arc::new(AtomicBool::new(false)));
        let other = thread::spawn({
            let notified = Arc::clone(&notified);
            move || {
                thread::sleep(SILENCE / 10);
                notified.store(true, Ordering::SeqCst);
                notifier.notify().unwrap();
            }
        });
        let result = selector.select(&mut Events::new(), Some(timeout)).map(Iterator::count);
        assert_eq!(result.unwrap(), 0);
        assert!(notified.load(Ordering::SeqCst), "{timeout:?} overflowed: it ended at once");
        let waits = waits.swap(0, Ordering::SeqCst);
        assert!(waits <= 2, "{timeout:?} overflowed: {waits} waits, each of which ended at once");
        other.join().unwrap();
    }
}

/// Signals that are sent to a thread while it waits.
#[derive(Default)]
struct Barrage {
    waiting: AtomicBool,
    hits: AtomicUsize,
}

impl Barrage {
    /// Enough to meet a thread asleep, not just about to fall asleep.
    const ENOUGH: usize = 5;

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    /// A selector on `T` that tells when it waits. (Counting `Interrupted` would not do: the
    /// `polling` crate retries that itself.)
    fn selector<T: Subject>(&self) -> Selector<UnixStream, (), impl Backend> {
        let _truth = liar::no_lies("a signal is to meet the system's wait");
        let wait = |inner: &mut T::Backend, ready: &mut ReadyList, until: Until| {
            self.waiting.store(true, Ordering::SeqCst);
            let result = inner.wait(ready, until);
            self.waiting.store(false, Ordering::SeqCst);
            result
        };
        Selector::with_backend(Wrapped::new(T::open(), wait))
    }

    /// Runs `select` while another thread sends signals to this one, until `enough` says so.
    fn around<R>(&self, select: impl FnOnce() -> R, enough: impl Fn() -> bool + Sync) -> R {
        // The handler only sets a flag: what counts is that there is one.
        signal_hook::flag::register(signal_hook::consts::SIGUSR2, Arc::default()).unwrap();
        let (this_thread, done) = (pthread_self(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                let give_up = Instant::now() + DEADLINE;
                while !done.load(Ordering::SeqCst) && !enough() && Instant::now() < give_up {
                    let hit = self.waiting.load(Ordering::SeqCst);
                    pthread_kill(this_thread, Signal::SIGUSR2).unwrap();
                    self.hits.fetch_add(hit.into(), Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(2)); // A pace, not an appointment.
                }
            });
            let result = select();
            done.store(true, Ordering::SeqCst);
            result
        })
    }
}

/// Each signal comes well before the timeout has passed: begun anew, it would never pass.
fn a_signal_neither_cuts_a_timeout_short_nor_begins_it_anew<T: Subject>() {
    let barrage = Barrage::default();
    let mut selector = barrage.selector::<T>();
    let timeout = Duration::from_millis(60);
    for _ in 0..10 {
        let elapsed = barrage.around(|| select_nothing(&mut selector, timeout), || false);
        assert!(elapsed >= timeout, "{timeout:?} was cut short to {elapsed:?}");
        assert!(elapsed < DEADLINE / 2, "{timeout:?} lasted {elapsed:?}");
        if barrage.hits() >= Barrage::ENOUGH {
            break; // Else the machine is too busy to send any.
        }
    }
    assert_ne!(barrage.hits(), 0, "no signal arrived in time to tell");
}

fn a_signal_does_not_end_a_select_for_ever<T: Subject>() {
    let barrage = Barrage::default();
    let mut selector = barrage.selector::<T>();
    let (notifier, start) = (selector.notifier(), Instant::now());
    let enough = || {
        let enough = barrage.hits() >= Barrage::ENOUGH || start.elapsed() > DEADLINE / 2;
        if enough {
            notifier.notify().unwrap();
        }
        enough
    };
    let mut events = Events::new();
    barrage.around(|| assert_eq!(selector.select(&mut events, None).unwrap().count(), 0), enough);
    assert!(barrage.hits() >= Barrage::ENOUGH, "a signal ended it");
}

/// What a language binding needs, to run the handlers of its language: CPython's
/// `test_select_interrupt_exc`.
fn a_signal_ends_a_select_that_is_to_return_for_it<T: Subject>() {
    let barrage = Barrage::default();
    let mut selector = barrage.selector::<T>();
    let (source, _peer) = unix_pair();
    selector.register(source, Interest::READ, ()).unwrap();
    selector.on_signal(OnSignal::Return);
    for timeout in [Some(2 * DEADLINE), None] {
        let (start, mut events) = (Instant::now(), Events::new());
        let result = barrage.around(|| selector.select(&mut events, timeout).map(drop), || false);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Interrupted);
        assert!(start.elapsed() < DEADLINE);
        assert!(events.is_empty() && !events.is_notified());
    }
    // The deadline still counts, and so it does to go on with it.
    let timeout = Duration::from_millis(30);
    let (start, mut events) = (Instant::now(), Events::new());
    barrage.around(
        || {
            let deadline = selector.now() + timeout;
            loop {
                let until = Until::At { deadline, now: selector.now() };
                match selector.select_until(&mut events, until) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    found => break assert_eq!(found.unwrap().count(), 0),
                }
            }
        },
        || false,
    );
    assert!(start.elapsed() >= timeout);
    selector.on_signal(OnSignal::Retry);
    barrage.around(|| select_nothing(&mut selector, timeout), || false);
}

fn a_select_that_a_signal_has_ended_loses_nothing<T: Subject>() {
    let barrage = Barrage::default();
    let mut selector = barrage.selector::<T>();
    let (source, mut peer) = unix_pair();
    let key = selector.register_with_mode(source, Interest::READ, Mode::Oneshot, ()).unwrap();
    selector.on_signal(OnSignal::Return);
    let (notifier, mut events) = (selector.notifier(), Events::new());
    let result = barrage.around(|| selector.select(&mut events, None).map(drop), || false);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Interrupted);
    peer.write_all(b"!").unwrap();
    notifier.notify().unwrap();
    let (mut found, mut is_notified) = (Vec::new(), false);
    while found.is_empty() || !is_notified {
        found.extend(selector.select(&mut events, Some(DEADLINE)).unwrap());
        assert!(!events.is_empty() || events.is_notified(), "{found:?} {is_notified}");
        is_notified |= events.is_notified();
    }
    assert_eq!(found, [(key, Readiness::READ)]);
    assert!(select_nothing(&mut selector, SILENCE) >= SILENCE);
}
