//! Layer 2: what is known of one source, and who waits for it.
//! Imports `waiters` and `interest`. Makes no system call and wakes nobody.
//! Invariant: a direction that is not `ready` has an event of the system ahead of it (edge), or
//! is armed as soon as somebody waits (oneshot).

use std::cell::Cell;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::task::Waker;

use super::waiters::Waiters;
use crate::interest::{Interest, Readiness};
use crate::selector::{DefaultSelector, Key};

/// A selector of anything, whose data are the sources' states; the alarm has none.
pub(super) type SourceSelector = DefaultSelector<Rc<dyn AsFd>, Option<Rc<Source>>>;

/// One of the two ways of a source; each has its own readiness and waiters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Direction {
    const BOTH: [Self; 2] = [Self::Read, Self::Write];

    fn interest(self) -> Interest {
        match self {
            Self::Read => Interest::READ,
            Self::Write => Interest::WRITE,
        }
    }
}

/// How many events a direction has had: says whether what an operation saw is still the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick(u32);

/// After these a short read is no sign of what there is to read.
const ENDS_THE_SHORT_CUT: Readiness =
    Readiness::READ_CLOSED.union(Readiness::WRITE_CLOSED).union(Readiness::PRIORITY);

/// The state of a registered source.
///
/// Each direction:
/// Ready ─`WouldBlock`: clear→ Empty ─put→ Waiting ─deliver→ Ready.
/// So nobody waits for what is ready.
/// It begins as Ready, since to try is cheaper than to ask.
#[derive(Default)]
pub(crate) struct Source {
    key: Cell<Option<Key>>,
    sides: [Side; 2],
    /// See [`short_read_drains`](Self::short_read_drains).
    short_read_drains: Cell<bool>,
    /// What the system watches at the moment, where it watches once (oneshot).
    armed: Cell<Option<Interest>>,
}

struct Side {
    ready: Cell<bool>,
    tick: Cell<Tick>,
    /// See [`Budget::poll_proceed`](super::budget::Budget::poll_proceed).
    was_put_off: Cell<bool>,
    waiters: Waiters,
}

impl Default for Side {
    fn default() -> Self {
        Self {
            ready: Cell::new(true),
            tick: Cell::new(Tick(0)),
            was_put_off: Cell::new(false),
            waiters: Waiters::default(),
        }
    }
}

impl Source {
    #[inline]
    fn side(&self, direction: Direction) -> &Side {
        &self.sides[direction as usize]
    }

    /// A source yet to be registered; `edges_tell_the_end` if it will be watched by edges, and
    /// that a stream has ended is among them.
    pub(super) fn new(edges_tell_the_end: bool) -> Self {
        Self { short_read_drains: Cell::new(edges_tell_the_end), ..Self::default() }
    }

    /// The registration, while there is one.
    pub(super) fn key(&self) -> Option<Key> {
        self.key.get()
    }

    pub(super) fn set_key(&self, key: Option<Key>) {
        self.key.set(key);
    }

    /// What the system watches, on a back end where that follows the waiters.
    pub(super) fn armed(&self) -> Interest {
        self.armed.get().unwrap_or(Interest::empty())
    }

    pub(super) fn set_armed(&self, interest: Interest) {
        self.armed.set(Some(interest));
    }

    /// The tick of `direction` if an operation is worth trying.
    #[inline]
    pub(crate) fn ready(&self, direction: Direction) -> Option<Tick> {
        let side = self.side(direction);
        side.ready.get().then(|| side.tick.get())
    }

    /// Whether the last attempt at an operation was put off, for want of budget.
    #[inline]
    pub(crate) fn was_put_off(&self, direction: Direction) -> &Cell<bool> {
        &self.side(direction).was_put_off
    }

    /// Takes the readiness back that an operation found to be spent, unless an event has come
    /// since `seen`: that one is news.
    #[inline]
    pub(crate) fn clear(&self, direction: Direction, seen: Tick) {
        let side = self.side(direction);
        if side.tick.get() == seen {
            side.ready.set(false);
        }
    }

    /// True if a short read leaves this stream with nothing to read until the next event: it is
    /// watched by edges that tell of an end of file, none was announced, which would come without
    /// another edge, and there was no out-of-band mark, at which reads stop short.
    #[inline]
    pub(crate) fn short_read_drains(&self) -> bool {
        self.short_read_drains.get()
    }

    /// Who waits for `direction`.
    #[inline]
    pub(super) fn waiters(&self, direction: Direction) -> &Waiters {
        &self.side(direction).waiters
    }

    /// The directions that somebody waits for.
    pub(super) fn wanted(&self) -> Interest {
        Direction::BOTH
            .into_iter()
            .filter(|direction| !self.side(*direction).waiters.is_empty())
            .fold(Interest::empty(), |wanted, direction| wanted | direction.interest())
    }

    /// Takes an event in: sets the directions ready and moves their wakers to `due`.
    #[inline]
    pub(super) fn deliver(&self, readiness: Readiness, due: &mut Vec<Waker>) {
        if readiness.intersects(ENDS_THE_SHORT_CUT) {
            self.short_read_drains.set(false);
        }
        for direction in Direction::BOTH {
            if readiness.intersects(direction.interest().into()) {
                let side = self.side(direction);
                side.tick.set(Tick(side.tick.get().0.wrapping_add(1)));
                if !side.ready.replace(true) {
                    side.waiters.take_into(due);
                }
            }
        }
    }

    /// Moves the wakers of both directions to `due`.
    pub(super) fn take_waiters(&self, due: &mut Vec<Waker>) {
        for side in &self.sides {
            side.waiters.take_into(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliver(source: &Source, readiness: Readiness) -> usize {
        let mut due = Vec::new();
        source.deliver(readiness, &mut due);
        due.len()
    }

    #[test]
    fn an_event_that_comes_during_an_operation_is_not_cleared_by_it() {
        let source = Source::default();
        let seen = source.ready(Direction::Read).expect("tried first");
        deliver(&source, Readiness::READ);
        source.clear(Direction::Read, seen);
        let seen = source.ready(Direction::Read).expect("the event came after `seen`");
        source.clear(Direction::Read, seen);
        assert_eq!(source.ready(Direction::Read), None);
        assert!(source.ready(Direction::Write).is_some());
    }

    #[test]
    fn an_event_wakes_its_own_direction_only() {
        let source = Source::default();
        for direction in Direction::BOTH {
            source.clear(direction, source.ready(direction).expect("tried first"));
            source.waiters(direction).put(None, Waker::noop().clone());
        }
        assert_eq!(source.wanted(), Interest::READ | Interest::WRITE);
        assert_eq!(deliver(&source, Readiness::WRITE), 1);
        assert_eq!(source.wanted(), Interest::READ);
        assert_eq!(deliver(&source, Readiness::PRIORITY), 0);
    }

    #[test]
    fn a_half_close_or_urgent_data_ends_the_short_cut_for_ever() {
        for hint in [Readiness::READ_CLOSED, Readiness::PRIORITY] {
            let source = Source::new(true);
            deliver(&source, Readiness::READ);
            assert!(source.short_read_drains());
            deliver(&source, Readiness::READ | hint);
            deliver(&source, Readiness::READ | hint);
            deliver(&source, Readiness::READ);
            assert!(!source.short_read_drains());
        }
    }
}
