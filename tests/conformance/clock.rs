//! Who waits owns the clock: a select reads the back end's, and no more often than it must.

use std::cell::Cell;
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use selkie::selector::{Backend, ReadyList, Until, Wrapper};
use selkie::{Events, Interest, Selector};

use crate::liar;
use crate::util::{DEADLINE, Subject, Wrapped, on_every_back_end, ready_unix_pair, unix_pair};

on_every_back_end! {
    a_select_that_polls_or_waits_for_ever_reads_no_clock,
    a_select_with_a_timeout_reads_the_clock_once_and_once_for_each_retry,
    a_select_to_a_deadline_reads_the_clock_only_for_a_retry,
    deadlines_are_those_of_the_back_end_s_own_clock,
}

/// Hours pass in a wait; nobody waits for them.
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone)]
struct Clock(Rc<State>);

struct State {
    reads: Cell<usize>,
    /// How many waits from now on are interrupted.
    interrupts: Cell<usize>,
    now: Cell<Instant>,
}

impl<B: Backend> Wrapper<B> for Clock {
    fn now(&self, _inner: &B) -> Instant {
        self.0.reads.set(self.0.reads.get() + 1);
        self.0.now.get()
    }

    /// Only looks; if there is nothing, the time comes that it was to wait for, or half of it.
    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        let timeout = until.timeout();
        if let Some(left) = self.0.interrupts.get().checked_sub(1) {
            self.0.interrupts.set(left);
            self.0.now.set(self.0.now.get() + timeout.unwrap_or_default() / 2);
            return Err(io::ErrorKind::Interrupted.into());
        }
        inner.wait(ready, Until::Now)?;
        if ready.is_empty() && !ready.is_notified() {
            self.0.now.set(self.0.now.get() + timeout.expect("not for ever, it would be"));
        }
        Ok(())
    }
}

impl Clock {
    fn reads(&self) -> usize {
        self.0.reads.take()
    }
}

fn selector<T: Subject>() -> (Clock, Selector<UnixStream, (), impl Backend>) {
    let _truth = liar::no_lies("the reads of the clock are counted");
    let clock = Clock(Rc::new(State {
        reads: Cell::new(0),
        interrupts: Cell::new(0),
        now: Cell::new(Instant::now()),
    }));
    let backend = Wrapped { inner: T::open(), wrapper: clock.clone() };
    (clock, Selector::with_backend(backend))
}

fn a_select_that_polls_or_waits_for_ever_reads_no_clock<T: Subject>() {
    let (clock, mut selector) = selector::<T>();
    let mut events = Events::new();
    assert_eq!(selector.select(&mut events, Some(Duration::ZERO)).unwrap().count(), 0);
    let (source, _peer) = ready_unix_pair();
    selector.register(source, Interest::READ, ()).unwrap();
    for timeout in [Some(Duration::ZERO), None] {
        clock.0.interrupts.set(2);
        assert_eq!(selector.select(&mut events, timeout).unwrap().count(), 1);
    }
    assert_eq!(clock.reads(), 0);
}

fn a_select_with_a_timeout_reads_the_clock_once_and_once_for_each_retry<T: Subject>() {
    let (clock, mut selector) = selector::<T>();
    let mut events = Events::new();
    assert_eq!(selector.select(&mut events, Some(HOUR)).unwrap().count(), 0);
    assert_eq!(clock.reads(), 2, "that the time has come, it has to see");
    let (source, _peer) = ready_unix_pair();
    selector.register(source, Interest::READ, ()).unwrap();
    for interrupts in [0, 1, 3] {
        clock.0.interrupts.set(interrupts);
        assert_eq!(selector.select(&mut events, Some(HOUR)).unwrap().count(), 1);
        assert_eq!(clock.reads(), 1 + interrupts);
    }
}

fn a_select_to_a_deadline_reads_the_clock_only_for_a_retry<T: Subject>() {
    let (clock, mut selector) = selector::<T>();
    let (source, _peer) = ready_unix_pair();
    selector.register(source, Interest::READ, ()).unwrap();
    let mut events = Events::new();
    for interrupts in [0, 1, 3] {
        let until = Until::after(Some(HOUR), || clock.0.now.get());
        clock.0.interrupts.set(interrupts);
        assert_eq!(selector.select_until(&mut events, until).unwrap().count(), 1);
        let mut calls = 0;
        selector.select_each_until(&mut events, until, |_, _, (), _| calls += 1).unwrap();
        assert_eq!((calls, clock.reads()), (1, interrupts));
    }
}

fn deadlines_are_those_of_the_back_end_s_own_clock<T: Subject>() {
    let (clock, mut selector) = selector::<T>();
    let (source, _peer) = unix_pair();
    selector.register(source, Interest::READ, ()).unwrap();
    let (begun, start) = (Instant::now(), selector.now());
    let mut events = Events::new();
    clock.0.interrupts.set(2);
    assert_eq!(selector.select(&mut events, Some(HOUR)).unwrap().count(), 0);
    assert_eq!(selector.now(), start + HOUR);
    let until = Until::At { deadline: start + 3 * HOUR, now: selector.now() };
    selector.select_each_until(&mut events, until, |_, _, (), _| panic!("it is idle")).unwrap();
    assert_eq!(selector.now(), start + 3 * HOUR);
    assert!(begun.elapsed() < DEADLINE, "those were real hours");
}
