//! A naive model of the queue, and the invariants; the same for the tests here and in `fuzz/`.

use std::time::{Duration, Instant};

use arbitrary::Arbitrary;

use super::{ARITY, KEPT, TimerKey, Timers, VACANT};

/// A burst has fewer timers than this.
const MOST_AT_ONCE: u16 = 300;

pub(super) fn years(base: Instant, count: u16) -> Instant {
    base + Duration::from_secs(31_557_600 * u64::from(count))
}

pub(super) fn after(base: Instant, nanos: u64) -> Instant {
    base + Duration::from_nanos(nanos)
}

pub(super) fn before(base: Instant, nanos: u64) -> Instant {
    base.checked_sub(Duration::from_nanos(nanos)).unwrap()
}

/// The invariants of the module header.
pub(super) fn check<T>(timers: &Timers<T>) {
    let Timers { heap, ordered, places, .. } = timers;
    assert!(*ordered <= heap.len());
    for (place, entry) in heap.iter().enumerate() {
        assert!(place == 0 || place >= *ordered || heap[(place - 1) / ARITY].rank() < entry.rank());
        assert_eq!(places[entry.slot as usize] as usize, place);
    }
    let mut vacant = timers.vacant.clone();
    vacant.retain(|&slot| (slot as usize) < places.len());
    vacant.sort_unstable();
    assert!(vacant.is_sorted_by(|a, b| a < b));
    assert!(vacant.iter().all(|&slot| places[slot as usize] == VACANT));
    assert_eq!(vacant.len() + heap.len(), places.len());
    assert_ne!(places.last(), Some(&VACANT));

    assert!(heap.capacity() <= KEPT.max(4 * heap.len() + 3));
    let table = places.capacity() + timers.vacant.capacity();
    assert!(table <= (2 * KEPT).max(12 * places.len() + 6));
}

#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum Op {
    Insert(Offset),
    /// Arms many at once, on so many deadlines.
    Burst(u16, u8),
    /// By any key ever given out, stale ones too: the number modulo how many there were.
    Remove(u32),
    Touch(u32),
    /// Cancels all but every n-th.
    Thin(u8),
    Pop(Offset),
    Drain(Offset),
}

#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum Offset {
    Before(u32),
    After(u64),
    Years(u16),
}

impl Offset {
    fn from(&self, base: Instant) -> Instant {
        match *self {
            Self::Before(nanos) => before(base, nanos.into()),
            Self::After(nanos) => after(base, nanos),
            Self::Years(count) => years(base, count),
        }
    }
}

/// A queue beside the naive model of it. The value of a timer is its number.
struct Pair {
    timers: Timers<usize>,
    /// All outstanding timers in the order in which they are due.
    model: Vec<(Instant, usize)>,
    /// Every key ever given out, by number.
    keys: Vec<TimerKey>,
}

impl Pair {
    fn insert(&mut self, deadline: Instant) {
        let timer = (deadline, self.keys.len());
        self.keys.push(self.timers.insert(deadline, timer.1));
        let place = self.model.partition_point(|other| *other < timer);
        self.model.insert(place, timer);
    }

    /// Whether the number is outstanding in the model, and where.
    fn find(&self, number: usize) -> Option<usize> {
        self.model.iter().position(|timer| timer.1 == number)
    }

    fn remove(&mut self, number: usize) {
        let expected = self.find(number).map(|place| self.model.remove(place).1);
        assert_eq!(self.timers.remove(self.keys[number]), expected);
    }

    fn touch(&mut self, number: usize) {
        let expected = self.find(number).map(|_| number);
        let found = self.timers.get_mut(self.keys[number]);
        assert_eq!(found.copied(), expected);
    }

    fn pop(&mut self, now: Instant) -> Option<usize> {
        let due = self.model.first().is_some_and(|timer| timer.0 <= now);
        let expected = due.then(|| self.model.remove(0).1);
        assert_eq!(self.timers.pop_due(now), expected);
        expected
    }

    fn apply(&mut self, op: &Op, base: Instant) {
        match op {
            Op::Insert(offset) => self.insert(offset.from(base)),
            Op::Burst(count, spread) => (0..u64::from(count % MOST_AT_ONCE))
                .for_each(|i| self.insert(after(base, i * 7919 % u64::from(*spread).max(1)))),
            Op::Thin(keep) => (0..self.keys.len())
                .filter(|number| number % usize::from(*keep).max(1) != 0)
                .for_each(|number| self.remove(number)),
            Op::Pop(offset) => drop(self.pop(offset.from(base))),
            Op::Drain(offset) => while self.pop(offset.from(base)).is_some() {},
            Op::Remove(_) | Op::Touch(_) if self.keys.is_empty() => {}
            Op::Remove(pick) => self.remove(*pick as usize % self.keys.len()),
            Op::Touch(pick) => self.touch(*pick as usize % self.keys.len()),
        }
    }
}

/// Does the operations, and checks the queue after each. It is asked for the first one, which
/// brings all into order, only where that is wanted.
///
/// # Panics
/// If the queue is not what the model is.
pub(crate) fn run(ops: &[(Op, bool)]) {
    let base = Instant::now();
    let mut pair = Pair { timers: Timers::new(), model: Vec::new(), keys: Vec::new() };
    for (op, is_asked) in ops {
        pair.apply(op, base);
        check(&pair.timers);
        if *is_asked {
            let first = pair.model.first().map(|timer| timer.0);
            assert_eq!(pair.timers.next_deadline(), first);
            check(&pair.timers);
        }
        assert_eq!(pair.timers.len(), pair.model.len());
        assert_eq!(pair.timers.is_empty(), pair.model.is_empty());
    }
}
