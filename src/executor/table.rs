//! Layer 3: the tasks that have begun to wait, by number.
//! Limits: constant time; memory follows the number of tasks, also when it falls.
//! Invariant: a number is given once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::id::TaskId;

/// Room, in tasks, that is never given back: a small table should not talk to the allocator.
const KEPT: usize = 64;

/// Spreads numbers that are given one after the other.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // 2⁶⁴ over the golden ratio: Fibonacci hashing (Knuth, volume 3, section 6.4).
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Values by task.
pub(super) struct Table<V>(HashMap<TaskId, V, BuildHasherDefault<Spread>>);

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<V> Table<V> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values()
    }

    pub(super) fn get(&self, id: TaskId) -> Option<&V> {
        self.0.get(&id)
    }

    pub(super) fn insert(&mut self, id: TaskId, value: V) {
        self.0.insert(id, value);
    }

    pub(super) fn remove(&mut self, id: TaskId) -> Option<V> {
        let value = self.0.remove(&id);
        if self.0.capacity() > 2 * KEPT && self.0.len() < self.0.capacity() / 8 {
            self.0.shrink_to((2 * self.0.len()).max(KEPT));
        }
        value
    }
}

/// Cuts the room of an emptied scratch to what a usual turn needs.
pub(super) fn give_back<T>(scratch: &mut Vec<T>) {
    if scratch.capacity() > 16 * KEPT && scratch.len() < scratch.capacity() / 4 {
        scratch.shrink_to((2 * scratch.len()).max(KEPT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_was_full_gives_its_room_back() {
        let mut table = Table::default();
        (0..100_000).for_each(|number| table.insert(TaskId(number), number));
        let kept = 77_777;
        for number in (0..100_000).filter(|number| *number != kept) {
            assert_eq!(table.remove(TaskId(number)), Some(number));
        }
        assert_eq!(table.values().collect::<Vec<_>>(), [&kept]);
        assert!(table.0.capacity() <= 4 * KEPT, "{}", table.0.capacity());
        assert_eq!(table.remove(TaskId(0)), None);
    }
}
