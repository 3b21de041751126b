//! The heap against a naive model, keys that went stale, and the promises about storage.

use super::*;
use proptest::{collection::vec, prelude::*, sample::Index};
use std::time::Duration;

fn years(base: Instant, count: u16) -> Instant {
    base + Duration::from_secs(31_557_600 * u64::from(count))
}

fn after(base: Instant, nanos: u64) -> Instant {
    base + Duration::from_nanos(nanos)
}

fn before(base: Instant, nanos: u64) -> Instant {
    base.checked_sub(Duration::from_nanos(nanos)).unwrap()
}

/// The values of all timers due at `now`, in order.
fn drain<T>(timers: &mut Timers<T>, now: Instant) -> Vec<T> {
    std::iter::from_fn(|| timers.pop_due(now)).collect()
}

fn storage<T>(timers: &Timers<T>) -> usize {
    let table = timers.places.capacity() + timers.vacant.capacity();
    timers.heap.capacity() * size_of::<Entry<T>>() + table * size_of::<u32>()
}

/// The invariants of the module header.
fn check<T>(timers: &Timers<T>) {
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

#[test]
fn an_empty_queue_has_no_deadline_and_no_storage() {
    let mut timers = Timers::<u8>::new();
    assert_eq!((timers.next_deadline(), timers.len()), (None, 0));
    assert_eq!(timers.pop_due(Instant::now()), None);
    assert_eq!(storage(&timers), 0);
}

#[test]
fn a_timer_is_due_at_its_nanosecond_and_not_before() {
    let (mut timers, deadline) = (Timers::new(), Instant::now());
    timers.insert(deadline, 'a');
    assert_eq!(timers.next_deadline(), Some(deadline));
    assert_eq!(timers.pop_due(before(deadline, 1)), None);
    assert_eq!(timers.pop_due(deadline), Some('a'));
    assert!(timers.is_empty());
}

#[test]
fn equal_deadlines_are_popped_in_the_order_of_insertion() {
    let (mut timers, deadline) = (Timers::new(), Instant::now());
    let keys: Vec<_> = (0..100).map(|i| timers.insert(deadline, i)).collect();
    keys.iter().step_by(3).for_each(|&key| {
        timers.remove(key);
    });
    let rest: Vec<_> = (0..100).filter(|i| i % 3 != 0).collect();
    assert_eq!(drain(&mut timers, deadline), rest);
}

#[test]
fn deadlines_millennia_apart_and_before_the_queue_keep_their_order_and_value() {
    let (mut timers, base) = (Timers::new(), Instant::now());
    let far = years(base, 9000);
    let deadlines = [after(far, 1), far, base, before(base, 1_000_000_000), years(base, 1000)];
    for deadline in deadlines {
        timers.insert(deadline, deadline);
    }
    let mut popped = Vec::new();
    while let Some(next) = timers.next_deadline() {
        popped.push(timers.pop_due(next).unwrap());
        assert_eq!(popped.last(), Some(&next));
    }
    assert!(popped.is_sorted() && popped.len() == deadlines.len());
}

#[test]
fn a_stale_key_finds_nothing_after_its_slot_is_used_again() {
    let (mut timers, base) = (Timers::new(), Instant::now());
    let stale = [timers.insert(base, 1), timers.insert(base, 2)];
    assert_eq!(timers.remove(stale[0]), Some(1));
    assert_eq!(timers.pop_due(base), Some(2));
    let fresh = [timers.insert(base, 3), timers.insert(base, 4)];
    assert!(stale.iter().all(|s| fresh.iter().any(|f| f.slot == s.slot)));
    for key in stale {
        assert_eq!(timers.get_mut(key), None);
        assert_eq!(timers.remove(key), None);
    }
    assert_eq!(drain(&mut timers, base), [3, 4]);
}

#[test]
fn a_value_is_dropped_when_taken_out_or_with_the_queue() {
    let (value, base) = (std::rc::Rc::new(()), Instant::now());
    let mut timers = Timers::new();
    let keys = [(); 3].map(|()| timers.insert(base, value.clone()));
    drop(timers.remove(keys[1]));
    drop(timers.pop_due(base));
    assert_eq!(std::rc::Rc::strong_count(&value), 2);
    drop(timers);
    assert_eq!(std::rc::Rc::strong_count(&value), 1);
}

#[test]
fn a_million_timers_armed_and_cancelled_give_their_memory_back() {
    let (mut timers, base) = (Timers::new(), Instant::now());
    let keys: Vec<_> =
        (0..1_000_000).map(|i| timers.insert(after(base, i * 7919 % 1_000_003), i)).collect();
    let last = keys[keys.len() - 1];
    let (few, most): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.slot % 1000 == 0);

    for key in most.into_iter().filter(|&key| key != last) {
        timers.remove(key);
    }
    assert_eq!(timers.len(), 1001);
    check(&timers);
    for key in few {
        timers.remove(key);
    }
    assert_eq!((timers.len(), timers.heap.capacity()), (1, KEPT));
    check(&timers);
    timers.remove(last);
    assert!(storage(&timers) <= KEPT * (size_of::<Entry<u64>>() + 2 * size_of::<u32>()));
}

#[test]
fn a_million_timers_that_fired_give_their_memory_back() {
    let (mut timers, base) = (Timers::new(), Instant::now());
    for i in 0..1_000_000 {
        timers.insert(after(base, i * 7919 % 1_000_003), i);
    }
    assert_eq!(drain(&mut timers, after(base, 1_000_003)).len(), 1_000_000);
    assert!(storage(&timers) <= KEPT * (size_of::<Entry<u64>>() + 2 * size_of::<u32>()));
}

/// Counts how often `storage` has changed.
#[derive(Default)]
struct Resizes {
    storage: usize,
    count: usize,
}

impl Resizes {
    fn look<T>(&mut self, timers: &Timers<T>) -> usize {
        self.count += usize::from(self.storage != storage(timers));
        self.storage = storage(timers);
        self.count
    }
}

#[test]
fn one_timer_to_and_fro_never_resizes_the_storage_twice() {
    let (mut timers, base) = (Timers::new(), Instant::now());
    let (mut keys, mut resizes) = (Vec::new(), Resizes::default());
    for step in 0..20_000 {
        if step < 10_000 {
            keys.push(timers.insert(after(base, step), ()));
        } else {
            timers.remove(keys.pop().unwrap());
        }
        let before = resizes.look(&timers);
        for _ in 0..4 {
            let key = timers.insert(base, ());
            resizes.look(&timers);
            timers.remove(key);
            assert!(resizes.look(&timers) <= before + 1);
        }
    }
    // 13 sizes from 4 up to 16384 and 8 back to KEPT, the heap and the table in step
    assert!(resizes.count <= 13 + 8 + 1, "{} times", resizes.count);
}

#[test]
fn storage_that_was_cut_has_room_for_as_many_timers_again() {
    let (mut timers, base) = (Timers::new(), Instant::now());
    let mut keys: Vec<_> = (0..1000).map(|i| timers.insert(after(base, i), ())).collect();
    let room = timers.heap.capacity();
    while timers.heap.capacity() == room {
        timers.remove(keys.pop().unwrap());
    }
    assert!(timers.heap.capacity() >= 2 * timers.len() && timers.len() > KEPT);
}

#[test]
fn a_timer_that_comes_and_goes_between_two_looks_is_not_brought_into_order() {
    let (mut timers, base) = (Timers::new(), Instant::now());
    timers.insert(after(base, 9), ());
    assert!(timers.next_deadline().is_some());
    let fresh = [3, 2, 1].map(|nanos| timers.insert(after(base, nanos), ()));
    for key in fresh {
        assert_eq!(timers.remove(key), Some(()));
        assert_eq!(timers.ordered, 1);
    }
}

#[test]
fn the_list_of_vacant_slots_is_swept_only_when_that_drops_half_of_it() {
    let (mut timers, base) = (Timers::new(), Instant::now());
    let keys: Vec<_> = (0..100).map(|i| timers.insert(after(base, i), ())).collect();
    let mut remove = |slots: std::ops::RangeInclusive<usize>| {
        for slot in slots {
            timers.remove(keys[slot]);
        }
        (timers.vacant.len(), timers.places.len())
    };
    remove(1..=79);
    assert_eq!(remove(81..=98), (97, 100));
    assert_eq!(remove(99..=99), (97, 81), "the end is cut off, and 18 in the list are behind it");
    assert_eq!(remove(80..=80), (0, 1), "all in the list are behind the end");
}

#[derive(Clone, Debug)]
enum Op {
    Insert(Offset),
    /// Arms many at once, on so many deadlines.
    Burst(u16, u8),
    /// By any key ever given out, stale ones too.
    Remove(Index),
    Touch(Index),
    /// Cancels all but every n-th.
    Thin(usize),
    Pop(Offset),
    Drain(Offset),
}

#[derive(Clone, Debug)]
enum Offset {
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

fn offset() -> impl Strategy<Value = Offset> {
    prop_oneof![
        4 => (0..4_u64).prop_map(Offset::After), // many equal deadlines
        4 => (0..1_000_000_000_000_u64).prop_map(Offset::After),
        1 => any::<u32>().prop_map(Offset::Before),
        1 => any::<u16>().prop_map(Offset::Years),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => offset().prop_map(Op::Insert),
        1 => (1..300_u16, 1..9_u8).prop_map(|(count, spread)| Op::Burst(count, spread)),
        8 => any::<Index>().prop_map(Op::Remove),
        2 => any::<Index>().prop_map(Op::Touch),
        1 => (1..200_usize).prop_map(Op::Thin),
        4 => offset().prop_map(Op::Pop),
        1 => offset().prop_map(Op::Drain),
    ]
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
            Op::Burst(count, spread) => (0..u64::from(*count))
                .for_each(|i| self.insert(after(base, i * 7919 % u64::from(*spread)))),
            Op::Thin(keep) => (0..self.keys.len())
                .filter(|number| number % keep != 0)
                .for_each(|number| self.remove(number)),
            Op::Pop(offset) => drop(self.pop(offset.from(base))),
            Op::Drain(offset) => while self.pop(offset.from(base)).is_some() {},
            Op::Remove(_) | Op::Touch(_) if self.keys.is_empty() => {}
            Op::Remove(index) => self.remove(index.index(self.keys.len())),
            Op::Touch(index) => self.touch(index.index(self.keys.len())),
        }
    }
}

proptest! {
    #[test]
    fn any_operations_give_what_a_sorted_vector_gives(
        ops in vec(op(), 1..120),
        // To ask for the first one brings all into order: not always.
        asked_after in vec(any::<bool>(), 120),
    ) {
        let base = Instant::now();
        let mut pair = Pair { timers: Timers::new(), model: Vec::new(), keys: Vec::new() };
        for (op, is_asked) in ops.iter().zip(asked_after) {
            pair.apply(op, base);
            check(&pair.timers);
            if is_asked {
                let first = pair.model.first().map(|timer| timer.0);
                prop_assert_eq!(pair.timers.next_deadline(), first);
                check(&pair.timers);
            }
            prop_assert_eq!(pair.timers.len(), pair.model.len());
            prop_assert_eq!(pair.timers.is_empty(), pair.model.is_empty());
        }
    }
}
