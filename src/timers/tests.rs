//! The heap against a naive model, keys that went stale, and the promises about storage.

use super::model::{Offset, Op, after, before, check, run, years};
use super::*;
use proptest::{collection::vec, prelude::*};

/// The values of all timers due at `now`, in order.
fn drain<T>(timers: &mut Timers<T>, now: Instant) -> Vec<T> {
    std::iter::from_fn(|| timers.pop_due(now)).collect()
}

fn storage<T>(timers: &Timers<T>) -> usize {
    let table = timers.places.capacity() + timers.vacant.capacity();
    timers.heap.capacity() * size_of::<Entry<T>>() + table * size_of::<u32>()
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
#[cfg_attr(miri, ignore = "too many timers to interpret")]
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
#[cfg_attr(miri, ignore = "too many timers to interpret")]
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
#[cfg_attr(miri, ignore = "too many timers to interpret")]
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
        8 => any::<u32>().prop_map(Op::Remove),
        2 => any::<u32>().prop_map(Op::Touch),
        1 => (1..200_u8).prop_map(Op::Thin),
        4 => offset().prop_map(Op::Pop),
        1 => offset().prop_map(Op::Drain),
    ]
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "too many timers to interpret")]
    fn any_operations_give_what_a_sorted_vector_gives(
        ops in vec(op(), 1..120),
        // To ask for the first one brings all into order: not always.
        asked_after in vec(any::<bool>(), 120),
    ) {
        run(&ops.into_iter().zip(asked_after).collect::<Vec<_>>());
    }
}
