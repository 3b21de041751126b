//! Layer 0: values under keys, in slots that are used again.
//! Limits: constant time; memory follows the most values that there were at once.
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
}

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
        Self { slots: Vec::new(), vacant: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// # Panics
    /// If there are 2^32 - 1 values, for which no process has the memory.
    pub(crate) fn insert(&mut self, value: T) -> SlotKey {
        let index = self.vacant.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.slots.len()).ok().filter(|index| *index < u32::MAX);
            self.slots.push(Slot { version: 1, value: None });
            index.expect("more values than can be told apart")
        });
        let slot = &mut self.slots[index as usize];
        slot.value = Some(value);
        self.len += 1;
        SlotKey::new(index, slot.version)
    }

    pub(crate) fn remove(&mut self, key: SlotKey) -> Option<T> {
        let slot = self.slots.get(key.index() as usize)?;
        if slot.version == key.version() { self.empty(key.index()) } else { None }
    }

    /// Takes all values out. Their keys name nothing from then on.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        let indices = 0..self.slots.len() as u32; // `insert` lets there be no more.
        indices.filter_map(|index| self.empty(index)).collect()
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
        assert_eq!(slots.take_all(), ["any"; 2]);
        assert!(slots.len() == 0 && slots.get(other).is_none());
        assert_ne!(slots.insert("later"), other);
        assert_eq!(slots.into_values().collect::<Vec<_>>(), ["later"]);
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
