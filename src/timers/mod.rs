//! Layer 0: the timer queue, deadlines in and due values out.
//! Is told `now`, makes no system call; knows no waker, no reactor, no clock.
//!
//! A 4-ary heap of (deadline, order of insertion, value), and a table that says where in the heap
//! each timer stands, so that a cancelled timer leaves at once. Chosen by measurement with a
//! million timers outstanding: a `BTreeMap` takes 35 times as long to arm and drop one among the
//! others, 18 times with a thousand such at once, and 3.5 times to replace an old one, and is
//! better only in expiring all (5 times); a binary heap is at best equal, and at the front up to
//! 1.5 times slower.
//!
//! A timer joins the heap when somebody next asks for the first one, once a turn. So one that is
//! armed and dropped within a turn, as a timeout over something that was ready is, costs the same
//! whatever its deadline: by the heap it took up to seven times as long, if sooner than all others.
//!
//! Invariants, which `model::check` states in code:
//! - no entry of the heap, which is the first `ordered` ones, is before its parent, by deadline and
//!   then by serial number;
//! - `places[entry.slot]` is the place of `entry`, and every other place is `VACANT`;
//! - the last slot of the table is in use, and `vacant` names every vacant one once. It may also
//!   name slots that have been cut off the end: the table grows only when `vacant` is empty, so
//!   none of these can come back while it is listed.
//!
//! Limits: storage shrinks as it grows, at amortised constant cost, but the one call that resizes
//! a million timers takes milliseconds. The heap, which holds the values, never keeps room for more
//! than about four times the outstanding timers. The table reaches as far as the highest slot in
//! use, at about eight bytes a slot (48 at the very worst): this much the survivors of a burst may
//! hold back until the highest of them is popped or removed. A queue that has become empty keeps
//! room for `KEPT` timers.
//!
//! Values are moved, returned, and dropped only with the queue: no user code runs in here. Whoever
//! gets one back lets go of the borrow of the queue before dropping or calling it.

use std::fmt;
use std::time::Instant;

/// Children per entry: four touch less memory on the way down than two, and take fewer steps up.
const ARITY: usize = 4;

/// Room, in elements, that is never given back: a small queue should not talk to the allocator.
const KEPT: usize = 64;

/// The place of a slot that no timer uses.
const VACANT: u32 = u32::MAX;

/// Values waiting for their deadlines: the timers of an explicit loop.
///
/// It has no clock and makes no system call. The loop sleeps no longer than until
/// [`next_deadline`](Self::next_deadline), and then takes out what is due by
/// [`pop_due`](Self::pop_due), which it tells the time. It is the queue that the runtime keeps its
/// own timers in: a timer that is armed and removed again costs little with a million outstanding,
/// and leaves nothing behind.
///
/// ```
/// use std::time::Duration;
/// use selkie::selector::Timers;
/// use selkie::{DefaultSelector, Events};
///
/// let mut selector = DefaultSelector::<std::net::TcpStream>::new()?;
/// let mut timers = Timers::new();
/// let start = selector.now();
/// timers.insert(start + Duration::from_millis(2), "second");
/// timers.insert(start + Duration::from_millis(1), "first");
/// let late = timers.insert(start + Duration::from_secs(60), "late");
/// assert_eq!(timers.remove(late), Some("late"));
///
/// let (mut events, mut order) = (Events::new(), Vec::new());
/// while let Some(deadline) = timers.next_deadline() {
///     let timeout = deadline.saturating_duration_since(selector.now());
///     for (_key, _readiness) in selector.select(&mut events, Some(timeout))? {
///         // Sources come first; what they do may remove timers that are about to be due.
///     }
///     let now = selector.now();
///     while let Some(value) = timers.pop_due(now) {
///         order.push(value);
///     }
/// }
/// assert_eq!(order, ["first", "second"]);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Deadlines are kept exactly, whatever the distance between them. Values should be small, since
/// they move with their entries (32 bytes without the value).
pub struct Timers<T> {
    /// A heap: the children of `i` are `ARITY * i + 1 ..= ARITY * i + ARITY`; and behind its
    /// first `ordered` entries those that have come since anybody asked for the first one.
    heap: Vec<Entry<T>>,
    ordered: usize,
    /// Slot to place in `heap`.
    places: Vec<u32>,
    /// Slots to use again, the last one first.
    vacant: Vec<u32>,
    /// The serial number of the next timer.
    next_serial: u64,
}

#[derive(Debug)]
struct Entry<T> {
    deadline: Instant,
    serial: u64,
    slot: u32,
    value: T,
}

impl<T> Entry<T> {
    /// What the heap is ordered by; no two are equal.
    fn rank(&self) -> (Instant, u64) {
        (self.deadline, self.serial)
    }
}

/// Names one timer of one queue, for ever: its serial number is not given to another.
///
/// After the timer has been popped or removed the key is stale, and finds nothing. A key of
/// another queue is not recognised as such; it may find an unrelated timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerKey {
    slot: u32,
    serial: u64,
}

impl<T> Timers<T> {
    /// An empty queue. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            heap: Vec::new(),
            ordered: 0,
            places: Vec::new(),
            vacant: Vec::new(),
            next_serial: 0,
        }
    }

    /// Arms a timer: `value` becomes due at `deadline`, which may already have passed.
    ///
    /// O(1). What it costs to bring it into order is paid by the next to ask for the first timer,
    /// if this one is still there: O(log n), expected O(1) unless `deadline` is among the first.
    ///
    /// # Panics
    /// If 2³² − 1 timers are outstanding.
    pub fn insert(&mut self, deadline: Instant, value: T) -> TimerKey {
        let slot = self.occupy_slot();
        let serial = self.next_serial;
        self.next_serial += 1; // never wraps: centuries at one per nanosecond
        self.heap.push(Entry { deadline, serial, slot, value });
        self.record(self.heap.len() - 1);
        TimerKey { slot, serial }
    }

    /// Cancels a timer and returns its value; `None` if the key is stale.
    ///
    /// Nothing of the timer stays behind. O(1) for one that has just come; O(log n) for others,
    /// expected O(1) unless it is among the first.
    pub fn remove(&mut self, key: TimerKey) -> Option<T> {
        let place = self.find(key)?;
        if place < self.ordered && self.ordered < self.heap.len() {
            self.bring_into_order();
            return self.find(key).map(|place| self.take(place));
        }
        Some(self.take(place))
    }

    /// The value of an outstanding timer; `None` if the key is stale. O(1).
    pub fn get_mut(&mut self, key: TimerKey) -> Option<&mut T> {
        let place = self.find(key)?;
        Some(&mut self.heap[place].value)
    }

    /// The earliest deadline exactly as it was given, or `None` if no timer is outstanding.
    ///
    /// By `&mut`, since timers that have come since the last call join the order here. O(1) but for
    /// those.
    #[must_use]
    pub fn next_deadline(&mut self) -> Option<Instant> {
        self.bring_into_order();
        self.heap.first().map(|entry| entry.deadline)
    }

    /// Takes out the timer that is due first, if its deadline is `now` or before.
    ///
    /// Earlier deadlines come first, equal ones in the order in which they were armed. A loop over
    /// this does not end if its body arms timers that are due at the same `now`. O(log n).
    pub fn pop_due(&mut self, now: Instant) -> Option<T> {
        (self.next_deadline()? <= now).then(|| self.take(0))
    }

    /// All values, in no particular order.
    pub fn into_values(self) -> impl Iterator<Item = T> {
        self.heap.into_iter().map(|entry| entry.value)
    }

    /// All deadlines and values, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Instant, &T)> {
        self.heap.iter().map(|entry| (entry.deadline, &entry.value))
    }

    /// How many timers are outstanding.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no timer is outstanding.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The place of a timer. Serial numbers are unique, so comparing them is enough, whatever has
    /// become of the slot.
    fn find(&self, key: TimerKey) -> Option<usize> {
        let place = *self.places.get(key.slot as usize)? as usize;
        let entry = self.heap.get(place)?;
        (entry.serial == key.serial).then_some(place)
    }

    fn bring_into_order(&mut self) {
        while self.ordered < self.heap.len() {
            self.sift_up(self.ordered);
            self.ordered += 1;
        }
    }

    /// Takes an entry out and fills the gap with the last one: out of the heap if all is in order,
    /// or else out of those that have just come.
    fn take(&mut self, place: usize) -> T {
        let entry = self.heap.swap_remove(place);
        if place < self.ordered {
            self.ordered -= 1;
            if place < self.ordered && self.sift_up(place) == place {
                self.sift_down(place);
            }
        } else if place < self.heap.len() {
            self.record(place);
        }
        give_back(&mut self.heap);
        self.vacate_slot(entry.slot);
        entry.value
    }

    /// A slot for an entry that is about to be pushed, which records its place.
    fn occupy_slot(&mut self) -> u32 {
        while let Some(slot) = self.vacant.pop() {
            if (slot as usize) < self.places.len() {
                return slot;
            }
        }
        let slot = u32::try_from(self.places.len()).unwrap_or(VACANT);
        assert!(slot < VACANT, "4294967295 timers are outstanding, no more can be armed");
        self.places.push(VACANT);
        slot
    }

    /// Makes a slot available, or cuts it off if it was the last, with all vacant ones before it.
    fn vacate_slot(&mut self, slot: u32) {
        self.places[slot as usize] = VACANT;
        if slot as usize + 1 < self.places.len() {
            self.vacant.push(slot);
        } else {
            while self.places.last() == Some(&VACANT) {
                self.places.pop();
            }
            give_back(&mut self.places);
        }
        let end = self.places.len();
        if self.vacant.len() > 2 * end {
            self.vacant.retain(|&slot| (slot as usize) < end); // drops at least half
        }
        give_back(&mut self.vacant);
    }

    /// Moves an entry up past all that it is before; returns and records its new place.
    fn sift_up(&mut self, mut place: usize) -> usize {
        let rank = self.heap[place].rank();
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if self.heap[parent].rank() < rank {
                break;
            }
            self.heap.swap(place, parent);
            self.record(place);
            place = parent;
        }
        self.record(place);
        place
    }

    /// Moves an entry down past all that are before it, and records its new place.
    fn sift_down(&mut self, mut place: usize) {
        let rank = self.heap[place].rank();
        loop {
            let children = ARITY * place + 1..(ARITY * place + 1 + ARITY).min(self.ordered);
            let first = children.min_by_key(|&child| self.heap[child].rank());
            let Some(child) = first.filter(|&child| self.heap[child].rank() < rank) else {
                break;
            };
            self.heap.swap(place, child);
            self.record(place);
            place = child;
        }
        self.record(place);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "there are no more places than slots, and occupy_slot keeps those below VACANT"
    )]
    fn record(&mut self, place: usize) {
        let slot = self.heap[place].slot;
        self.places[slot as usize] = place as u32;
    }
}

impl<T> fmt::Debug for Timers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Cuts the room to twice what is in use, once that is less than a quarter.
///
/// Whatever follows, the elements must double or halve before the next resizing: no sequence of
/// operations pays for more than a constant number of moves each.
fn give_back<E>(storage: &mut Vec<E>) {
    if storage.capacity() > KEPT && storage.len() < storage.capacity() / 4 {
        storage.shrink_to((2 * storage.len()).max(KEPT));
    }
}

#[cfg(any(test, selkie_fuzz))]
mod model;
#[cfg(test)]
mod tests;
#[cfg(selkie_fuzz)]
pub(crate) use model::{Op, run};
