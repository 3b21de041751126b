//! A back end that the test brings: one that lies in every way that `Backend` allows, around
//! each of ours, and one made of nothing. The selector keeps its promises all the same.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use selkie::selector::{Backend, ReadyList, Token, Until};
use selkie::{Events, Interest, Key, Mode, Notifier, Readiness, Selector};

use crate::liar;
use crate::util::{DEADLINE, SILENCE, Subject, Wrapped, assert_silent, on_every_back_end};
use crate::util::{ready_now, ready_unix_pair, unix_pair};

on_every_back_end! {
    waits_that_end_early_cut_no_timeout_short,
    a_select_that_nothing_ends_early_is_one_wait,
    waits_that_are_interrupted_are_begun_again,
    tokens_that_are_repeated_are_one_event,
    a_oneshot_that_is_reported_again_is_reported_once,
    tokens_that_are_gone_reach_nobody,
    readiness_that_nobody_asked_for_is_not_reported,
    what_a_wrapper_strikes_out_is_not_reported,
    an_error_is_passed_on_and_loses_nothing,
}

const BOTH: Interest = Interest::READ.union(Interest::WRITE);

/// A selector on `T` whose waits are made by `wait`.
fn lying<T: Subject, D>(
    wait: impl FnMut(&mut T::Backend, &mut ReadyList, Until) -> io::Result<()>,
) -> Selector<UnixStream, D, impl Backend> {
    let _truth = liar::no_lies("these lies are the test's own");
    Selector::with_backend(Wrapped::new(T::open(), wait))
}

fn waits_that_end_early_cut_no_timeout_short<T: Subject>() {
    const EARLY: usize = 5;
    let waits = Cell::new(0);
    let mut selector = lying::<T, _>(|inner, ready, until| {
        waits.set(waits.get() + 1);
        let is_early = waits.get() <= EARLY;
        inner.wait(ready, if is_early { Until::Now } else { until })
    });
    let (source, mut peer) = unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    let (start, mut events) = (Instant::now(), Events::new());
    assert_eq!(selector.select(&mut events, Some(SILENCE)).unwrap().count(), 0);
    assert!(start.elapsed() >= SILENCE);
    assert!(waits.replace(0) > EARLY);
    let writer = std::thread::spawn(move || {
        std::thread::sleep(SILENCE);
        peer.write_all(b"!").unwrap();
        peer
    });
    let found: Vec<_> = selector.select(&mut events, None).unwrap().collect();
    assert_eq!(found, [(key, Readiness::READ)]);
    drop(writer.join().unwrap());
}

fn a_select_that_nothing_ends_early_is_one_wait<T: Subject>() {
    let waits = Cell::new(0);
    let mut selector = lying::<T, _>(|inner, ready, until| {
        waits.set(waits.get() + 1);
        inner.wait(ready, until)
    });
    let (source, mut peer) = unix_pair();
    selector.register(source, Interest::READ, ()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(SILENCE);
            peer.write_all(b"!").unwrap();
        });
        assert_eq!(selector.select(&mut Events::new(), None).unwrap().count(), 1);
    });
    assert_eq!(waits.get(), 1);
}

fn waits_that_are_interrupted_are_begun_again<T: Subject>() {
    let mut interrupts = 0;
    let mut selector = lying::<T, _>(|inner, ready, until| {
        interrupts += 1;
        if interrupts % 4 == 0 {
            return inner.wait(ready, until);
        }
        // What was pushed before the error must not be reported twice for it.
        inner.wait(ready, Until::Now)?;
        Err(ErrorKind::Interrupted.into())
    });
    let (source, _peer) = ready_unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    for timeout in [Some(Duration::ZERO), Some(DEADLINE), None] {
        let mut events = Events::new();
        let found: Vec<_> = selector.select(&mut events, timeout).unwrap().collect();
        assert_eq!(found, [(key, Readiness::READ)]);
    }
    selector.unregister(key).unwrap();
    assert_silent(&mut selector);
}

/// Each direction in an event of its own, and all of it twice.
fn tokens_that_are_repeated_are_one_event<T: Subject>() {
    let mut selector = lying::<T, _>(|inner, ready, until| {
        inner.wait(ready, until)?;
        let told: Vec<_> = ready.drain().collect();
        for (token, readiness) in [told.clone(), told].concat() {
            readiness.iter().for_each(|one| ready.push(token, one));
        }
        Ok(())
    });
    let pairs = [ready_unix_pair(), ready_unix_pair(), ready_unix_pair()];
    let (sources, _peers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let mut keys = Vec::new();
    for source in sources {
        keys.push(selector.register(source, BOTH, ()).unwrap());
    }
    let both = Readiness::READ | Readiness::WRITE;
    for _ in 0..3 {
        let expected: Vec<_> = keys.iter().map(|key| (*key, both)).collect();
        assert_eq!(ready_now(&mut selector), expected);
        // Struck out once, it is gone.
        let mut events = Events::new();
        let mut delivered = Vec::new();
        for (key, _) in selector.select(&mut events, Some(DEADLINE)).unwrap() {
            delivered.push(key);
            if keys.len() > 1 && delivered.len() == 1 {
                let other = keys.iter().position(|other| *other != key).unwrap();
                selector.unregister(keys.remove(other)).unwrap();
            }
        }
        delivered.sort();
        assert_eq!(delivered, keys);
    }
}

/// All bits of a oneshot, one by one and in every wait, though it was never armed again.
fn a_oneshot_that_is_reported_again_is_reported_once<T: Subject>() {
    let mut told = Vec::new();
    let mut selector = lying::<T, _>(|inner, ready, until| {
        inner.wait(ready, until)?;
        for (token, readiness) in ready.drain() {
            told.extend(readiness.iter().map(|bit| (token, bit)));
        }
        told.iter().for_each(|(token, bit)| ready.push(*token, *bit));
        Ok(())
    });
    let (source, _peer) = ready_unix_pair();
    let key = selector.register_with_mode(source, BOTH, Mode::Oneshot, ()).unwrap();
    for _ in 0..2 {
        assert_eq!(ready_now(&mut selector), [(key, Readiness::READ | Readiness::WRITE)]);
        assert_eq!(ready_now(&mut selector), []);
        selector.modify(key, BOTH).unwrap();
    }
}

/// Old generations, the reserved token and bits that nobody has, at every wait.
fn tokens_that_are_gone_reach_nobody<T: Subject>() {
    let mut seen = vec![Token::RESERVED, Token::from_bits(0), Token::from_bits(0xdead_beef)];
    let mut selector = lying::<T, _>(|inner, ready, until| {
        let until = until.at_most(Duration::from_millis(1), || inner.now());
        inner.wait(ready, until)?;
        seen.extend(ready.iter().map(|(token, _)| token));
        seen.dedup();
        seen.iter().for_each(|token| ready.push(*token, Readiness::all()));
        Ok(())
    });
    let (mut source, _peer) = ready_unix_pair();
    let mut stale = Vec::new();
    for _ in 0..3 {
        let key = selector.register(source, Interest::READ, ()).unwrap();
        let found = ready_now(&mut selector);
        assert_eq!(found.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [key]);
        (source, _) = selector.unregister(key).unwrap().into_parts();
        stale.push(key);
    }
    // An idle source in the same slot, and nothing but tokens of the old ones.
    let (idle, _idle_peer) = unix_pair();
    selector.register(idle, Interest::READ, ()).unwrap();
    let (start, mut events) = (Instant::now(), Events::new());
    assert_eq!(selector.select(&mut events, Some(SILENCE)).unwrap().count(), 0);
    assert!(start.elapsed() >= SILENCE);
}

fn readiness_that_nobody_asked_for_is_not_reported<T: Subject>() {
    let known: RefCell<Vec<Token>> = RefCell::default();
    let directions = Readiness::from(Interest::all());
    let mut selector = lying::<T, _>(|inner, ready, until| {
        let until = until.at_most(Duration::from_millis(1), || inner.now());
        inner.wait(ready, until)?;
        let mut known = known.borrow_mut();
        known.extend(ready.drain().map(|(token, _)| token));
        known.iter().for_each(|token| ready.push(*token, directions - Readiness::PRIORITY));
        Ok(())
    });
    let (source, _peer) = ready_unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
    selector.modify(key, Interest::PRIORITY).unwrap();
    let (start, mut events) = (Instant::now(), Events::new());
    assert_eq!(selector.select(&mut events, Some(SILENCE)).unwrap().count(), 0);
    assert!(start.elapsed() >= SILENCE);
    known.borrow_mut().clear();
}

fn what_a_wrapper_strikes_out_is_not_reported<T: Subject>() {
    let (strikes, is_struck) = (Cell::new(1), Cell::new(false));
    let mut selector = lying::<T, _>(|inner, ready, until| {
        inner.wait(ready, until)?;
        is_struck.set(strikes.get() > 0 && !ready.is_empty());
        if is_struck.get() {
            strikes.set(strikes.get() - 1);
            ready.retain(|_, _| false);
        }
        Ok(())
    });
    let (source, _peer) = ready_unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    assert_eq!(ready_now(&mut selector), []);
    assert!(is_struck.get());
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
}

fn an_error_is_passed_on_and_loses_nothing<T: Subject>() {
    let mut waits = 0;
    let mut selector = lying::<T, _>(|inner, ready, until| {
        waits += 1;
        if waits % 2 == 1 {
            return Err(io::Error::from_raw_os_error(nix::errno::Errno::ENOMEM as i32));
        }
        inner.wait(ready, until)
    });
    let (source, _peer) = ready_unix_pair();
    let key = selector.register_with_mode(source, Interest::READ, Mode::Oneshot, ()).unwrap();
    let mut events = Events::new();
    let error = selector.select(&mut events, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    assert!(events.is_empty() && events.iter().next().is_none());
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
}

/// A back end made of nothing: whatever is registered is ready for all that was asked.
#[derive(Default)]
struct Scripted(Rc<RefCell<Script>>);

#[derive(Default)]
struct Script {
    set: Vec<(Token, Interest)>,
    /// Unregistering fails, and leaves what was registered in the set until it is made anew.
    stubborn: bool,
    /// How many registrations from now on one fails, once.
    fails_after: Option<usize>,
    resets: usize,
}

impl Backend for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn supports(&self, mode: Mode) -> bool {
        mode == Mode::Level
    }

    unsafe fn register(
        &mut self,
        token: Token,
        _fd: BorrowedFd<'_>,
        interest: Interest,
        _mode: Mode,
    ) -> io::Result<()> {
        let mut script = self.0.borrow_mut();
        script.fails_after = match script.fails_after {
            Some(0) => {
                script.fails_after = None;
                return Err(ErrorKind::OutOfMemory.into());
            }
            left => left.map(|left| left - 1),
        };
        script.set.push((token, interest));
        Ok(())
    }

    unsafe fn modify(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.0.borrow_mut().set.retain(|(other, _)| *other != token);
        // SAFETY: it is the caller's promise, handed on.
        unsafe { self.register(token, fd, interest, mode) }
    }

    fn unregister(&mut self, token: Token, _fd: BorrowedFd<'_>) -> io::Result<()> {
        let mut script = self.0.borrow_mut();
        if script.stubborn {
            return Err(ErrorKind::NotFound.into());
        }
        script.set.retain(|(other, _)| *other != token);
        Ok(())
    }

    fn wait(&mut self, ready: &mut ReadyList, _until: Until) -> io::Result<()> {
        for (token, interest) in &self.0.borrow().set {
            ready.push(*token, (*interest).into());
        }
        Ok(())
    }

    fn notifier(&self) -> Notifier {
        Notifier::new(|| Ok(()))
    }

    fn reset(&mut self) -> io::Result<()> {
        let mut script = self.0.borrow_mut();
        script.set.clear();
        script.resets += 1;
        Ok(())
    }
}

fn scripted() -> (Selector<UnixStream, (), Scripted>, Rc<RefCell<Script>>) {
    let backend = Scripted::default();
    let script = Rc::clone(&backend.0);
    (Selector::with_backend(backend), script)
}

/// Sources of the scripted selector, registered; it does not look at them.
fn register_idle(selector: &mut Selector<UnixStream, (), Scripted>, count: usize) -> Vec<Key> {
    (0..count).map(|_| selector.register(unix_pair().0, Interest::READ, ()).unwrap()).collect()
}

#[test]
fn a_program_can_bring_a_back_end_of_its_own() {
    let (mut selector, script) = scripted();
    assert_eq!(selector.backend().name(), "scripted");
    assert!(selector.descriptor().is_none());
    let key = selector.register(unix_pair().0, BOTH, ()).unwrap();
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ | Readiness::WRITE)]);
    selector.modify(key, Interest::WRITE).unwrap();
    assert_eq!(ready_now(&mut selector), [(key, Readiness::WRITE)]);
    let refused = selector.modify_with_mode(key, BOTH, Mode::Edge).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("the scripted back end has no edge mode"));
    selector.unregister(key).unwrap();
    assert!(script.borrow().set.is_empty());
    let mut boxed: Selector<UnixStream, (), Box<dyn Backend>> =
        Selector::with_backend(Box::new(Scripted::default()));
    let key = boxed.register(unix_pair().0, BOTH, ()).unwrap();
    assert_eq!(ready_now(&mut boxed), [(key, Readiness::READ | Readiness::WRITE)]);
}

#[test]
fn a_failed_registration_leaves_no_key() {
    let (mut selector, script) = scripted();
    script.borrow_mut().fails_after = Some(0);
    let refused = selector.register(unix_pair().0, BOTH, ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OutOfMemory);
    let (_, mut source, ()) = refused.into_parts();
    assert!(selector.is_empty() && selector.key_of(&source).is_none());
    assert_eq!(source.read(&mut [0; 8]).unwrap(), 0, "it was handed back open, its peer gone");
    let key = selector.register(source, BOTH, ()).unwrap();
    script.borrow_mut().fails_after = Some(0);
    assert_eq!(selector.modify(key, Interest::READ).unwrap_err().kind(), ErrorKind::OutOfMemory);
    assert_eq!(selector[key].interest, BOTH);
}

/// An orphan makes the selector make the set anew; half-way through, the system has no memory.
#[test]
fn registrations_survive_an_error_while_the_set_is_made_anew() {
    let (mut selector, script) = scripted();
    let keys = register_idle(&mut selector, 4);
    script.borrow_mut().stubborn = true;
    let (orphan, others) = keys.split_first().unwrap();
    selector.unregister(*orphan).unwrap();
    {
        // Only the orphan is ready.
        let mut script = script.borrow_mut();
        script.set.truncate(1);
        script.fails_after = Some(1);
    }
    let error = selector.select(&mut Events::new(), Some(DEADLINE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    let expected: Vec<_> = others.iter().map(|key| (*key, Readiness::READ)).collect();
    assert_eq!(ready_now(&mut selector), expected, "not all of them are registered again");
    assert_eq!(ready_now(&mut selector), expected);
    assert_eq!(script.borrow().resets, 2);
}

/// The same, and an orphan more comes before the selector has got round to it again.
#[test]
fn another_orphan_does_not_make_up_for_registrations_that_are_missing() {
    let (mut selector, script) = scripted();
    let keys = register_idle(&mut selector, 4);
    script.borrow_mut().stubborn = true;
    selector.unregister(keys[0]).unwrap();
    {
        let mut script = script.borrow_mut();
        script.set.truncate(1);
        script.fails_after = Some(0);
    }
    selector.select(&mut Events::new(), Some(DEADLINE)).unwrap_err();
    selector.unregister(keys[1]).unwrap();
    let expected = [2, 3].map(|left| (keys[left], Readiness::READ));
    assert_eq!(ready_now(&mut selector), expected);
}

/// Only a registration that could not be removed is worth a new set; late events are not.
#[test]
fn a_late_event_of_what_was_properly_unregistered_costs_no_new_set() {
    let (mut selector, script) = scripted();
    let key = register_idle(&mut selector, 1)[0];
    let late = script.borrow().set.clone();
    selector.unregister(key).unwrap();
    script.borrow_mut().set = late;
    let (mut events, timeout) = (Events::new(), Some(Duration::from_millis(1)));
    assert_eq!(selector.select(&mut events, timeout).unwrap().count(), 0);
    assert_eq!(script.borrow().resets, 0);
}
