//! Layer 1: values under tokens, in slots that are used again.
//! Invariant: a token is given out once; a slot whose versions are used up is not used again.

use super::key::Token;

/// Values, each under a [`Token`] of its own, found in constant time.
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    /// The slots to use again, the last one first.
    vacant: Vec<u32>,
    len: usize,
}

struct Slot<T> {
    /// That of the value in it, or of the next one.
    version: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), vacant: Vec::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// # Panics
    /// If there are 2^32 - 1 values, which no process has the descriptors for.
    pub(super) fn insert(&mut self, value: T) -> Token {
        let index = self.vacant.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.slots.len()).ok().filter(|index| *index < u32::MAX);
            self.slots.push(Slot { version: 1, value: None });
            index.expect("more registrations than a selector can tell apart")
        });
        let slot = &mut self.slots[index as usize];
        slot.value = Some(value);
        self.len += 1;
        Token::new(index, slot.version)
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        let slot = self.slots.get_mut(token.index() as usize)?;
        let value = if slot.version == token.version() { slot.value.take() } else { None }?;
        self.len -= 1;
        if let Some(next) = slot.version.checked_add(1) {
            slot.version = next;
            self.vacant.push(token.index());
        }
        Some(value)
    }

    #[inline]
    pub(super) fn get(&self, token: Token) -> Option<&T> {
        let slot = self.slots.get(token.index() as usize)?;
        if slot.version == token.version() { slot.value.as_ref() } else { None }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let slot = self.slots.get_mut(token.index() as usize)?;
        if slot.version == token.version() { slot.value.as_mut() } else { None }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        (0_u32..).zip(&self.slots).filter_map(|(index, slot)| {
            slot.value.as_ref().map(|value| (Token::new(index, slot.version), value))
        })
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.slots.into_iter().filter_map(|slot| slot.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_under_another_token() {
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
        let mut found: Vec<_> = slots.iter().map(|(token, value)| (token, *value)).collect();
        found.sort();
        let mut expected = vec![(again, "again"), (other, "changed")];
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(slots.len(), 2);
        assert_eq!(slots.into_values().count(), 2);
    }

    #[test]
    fn a_slot_whose_versions_are_used_up_is_given_up() {
        let mut slots = Slots::new();
        let first = slots.insert(1);
        slots.slots[0].version = u32::MAX;
        assert_eq!(slots.get(first), None);
        let last = Token::new(first.index(), u32::MAX);
        assert_eq!(slots.remove(last), Some(1));
        assert_ne!(slots.insert(2).index(), first.index());
        assert_eq!((slots.get(last), slots.len()), (None, 1));
    }

    #[test]
    fn tokens_that_nobody_was_given_name_nothing() {
        let mut slots = Slots::new();
        let token = slots.insert(());
        let next = Token::new(token.index(), token.version() + 1);
        let others = [Token::RESERVED, Token::from_bits(0), Token::new(token.index() + 1, 1), next];
        for other in others {
            assert!(slots.get(other).is_none() && slots.remove(other).is_none());
        }
        slots.remove(token);
        assert_eq!(slots.get(next), None, "the slot is vacant");
    }
}
