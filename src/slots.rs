//! Layer 0: values under keys, in slots that are used again.
//! Limits: constant time; memory follows the most values that there were at once, since there were
//! none.
//! Invariant: a key is given out once; a slot whose versions are used up is not used again.

// Not the crate slotmap: a selector has to know which bits of its keys are the slot, for the table
// of what is alive. And a build is spared two crates with build scripts.

/// A slot, and which of the values it is that the slot has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SlotKey(u64);

impl SlotKey {
    pub(crate) const fn new(index: u32, version: u32) -> Self {
        Self((version as u64) << 32 | index as u64)
    }

    pub(crate) const fn index(self) -> u32 {
        self.0 as u32
    }

    /// Never zero, in a key that was given out.
    pub(crate) const fn version(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    /// A key of any bits; those that were not given out name nothing.
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// Values, each under a [`SlotKey`] of its own, found in constant time.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    /// The slots to use again, the last one first.
    vacant: Vec<u32>,
    len: usize,
    /// That of the first value of a new slot: over all versions of slots that were given back.
    first_version: u32,
}

/// Slots that are not given back when they are vacant: a few should not talk to the allocator.
const KEPT: usize = 64;

#[derive(Debug)]
struct Slot<T> {
    /// That of the value in it, or of the next one.
    version: u32,
    value: Option<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), vacant: Vec::new(), len: 0, first_version: 1 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// # Panics
    /// If there are 2^32 - 1 values, for which no process has the memory.
    pub(crate) fn insert(&mut self, value: T) -> SlotKey {
        let index = self.vacant.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.slots.len()).ok().filter(|index| *index < u32::MAX);
            self.slots.push(Slot { version: self.first_version, value: None });
            index.expect("more values than can be told apart")
        });
        let slot = &mut self.slots[index as usize];
        slot.value = Some(value);
        self.len += 1;
        SlotKey::new(index, slot.version)
    }

    pub(crate) fn remove(&mut self, key: SlotKey) -> Option<T> {
        let slot = self.slots.get(key.index() as usize)?;
        let value = if slot.version == key.version() { self.empty(key.index()) } else { None };
        self.give_back();
        value
    }

    /// Gives the memory back when all slots of many are vacant.
    #[inline]
    fn give_back(&mut self) {
        if self.len == 0 && self.slots.len() > KEPT {
            self.forget_slots();
        }
    }

    #[cold]
    fn forget_slots(&mut self) {
        let latest = self.slots.iter().map(|slot| slot.version).max().unwrap_or_default();
        // All new ones begin there: half of the versions are for those that are never given back.
        if latest < u32::MAX / 2 {
            self.first_version = latest;
            (self.slots, self.vacant) = (Vec::new(), Vec::new());
        }
    }

    fn empty(&mut self, index: u32) -> Option<T> {
        let slot = &mut self.slots[index as usize];
        let value = slot.value.take()?;
        self.len -= 1;
        if let Some(next) = slot.version.checked_add(1) {
            slot.version = next;
            self.vacant.push(index);
        }
        Some(value)
    }

    #[inline]
    pub(crate) fn get(&self, key: SlotKey) -> Option<&T> {
        let slot = self.slots.get(key.index() as usize)?;
        if slot.version == key.version() { slot.value.as_ref() } else { None }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: SlotKey) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index() as usize)?;
        if slot.version == key.version() { slot.value.as_mut() } else { None }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SlotKey, &T)> {
        (0_u32..).zip(&self.slots).filter_map(|(index, slot)| {
            slot.value.as_ref().map(|value| (SlotKey::new(index, slot.version), value))
        })
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.value.as_mut())
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.slots.into_iter().filter_map(|slot| slot.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_under_another_key() {
        let mut slots = Slots::new();
        let [first, other] = ["first", "other"].map(|value| slots.insert(value));
        assert_eq!(slots.remove(first), Some("first"));
        assert_eq!(slots.remove(first), None);
        assert!(slots.get(first).is_none() && slots.get_mut(first).is_none());
        let again = slots.insert("again");
        assert_eq!(again.index(), first.index());
        assert_ne!(again, first);
        assert_eq!((slots.get(first), slots.get(again)), (None, Some(&"again")));
        *slots.get_mut(other).unwrap() = "changed";
        let mut found: Vec<_> = slots.iter().map(|(key, value)| (key, *value)).collect();
        found.sort();
        let mut expected = vec![(again, "again"), (other, "changed")];
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(slots.len(), 2);
        slots.values_mut().for_each(|value| *value = "any");
        assert_eq!([again, other].map(|key| slots.remove(key)), [Some("any"); 2]);
        assert!(slots.len() == 0 && slots.get(other).is_none());
        assert_ne!(slots.insert("later"), other);
        assert_eq!(slots.into_values().collect::<Vec<_>>(), ["later"]);
    }

    fn empty<T>(slots: &mut Slots<T>) {
        let keys: Vec<_> = slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            slots.remove(key);
        }
    }

    #[test]
    fn slots_that_are_all_vacant_give_their_memory_back_and_no_key_comes_again() {
        let mut slots = Slots::new();
        let mut known = std::collections::HashSet::new();
        for round in 0..10 {
            let keys: Vec<_> = (0..100 * (round + 1)).map(|value| slots.insert(value)).collect();
            assert!(keys.iter().all(|key| known.insert(*key)));
            for key in &keys[..round] {
                slots.remove(*key);
                assert!(known.insert(slots.insert(0)));
            }
            empty(&mut slots);
            assert_eq!((slots.len(), slots.slots.capacity(), slots.vacant.capacity()), (0, 0, 0));
            assert!(known.iter().all(|key| slots.get(*key).is_none()));
        }
        let few: Vec<_> = (0..KEPT).map(|_| slots.insert(0)).collect();
        for key in few {
            slots.remove(key);
        }
        assert!(slots.slots.capacity() >= KEPT, "a few stay");
        let last = slots.insert(0);
        slots.slots[last.index() as usize].version = u32::MAX;
        for _ in 0..KEPT {
            slots.insert(0);
        }
        empty(&mut slots);
        assert_eq!(slots.slots.len(), KEPT + 1, "one of them must not come again");
    }

    #[test]
    fn a_slot_whose_versions_are_used_up_is_given_up() {
        let mut slots = Slots::new();
        let first = slots.insert(1);
        slots.slots[0].version = u32::MAX;
        assert_eq!(slots.get(first), None);
        let last = SlotKey::new(first.index(), u32::MAX);
        assert_eq!(slots.remove(last), Some(1));
        assert_ne!(slots.insert(2).index(), first.index());
        assert_eq!((slots.get(last), slots.len()), (None, 1));
    }

    #[test]
    fn keys_that_nobody_was_given_name_nothing() {
        let mut slots = Slots::new();
        let key = slots.insert(());
        let next = SlotKey::new(key.index(), key.version() + 1);
        let others = [
            SlotKey::from_bits(u64::MAX),
            SlotKey::from_bits(0),
            SlotKey::new(key.index() + 1, 1),
            next,
        ];
        for other in others {
            assert!(slots.get(other).is_none() && slots.remove(other).is_none());
        }
        slots.remove(key);
        assert_eq!(slots.get(next), None, "the slot is vacant");
    }
}
