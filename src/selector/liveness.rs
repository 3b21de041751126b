//! Layer 1: which registrations a selector still has, for those who walk what it has found.
//! Invariant: the version of a slot is that of the registration in it, or zero. Atomic, so that
//! both sides may be on different threads; each of them sees its own thread's changes in order.

use std::iter;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::key::Token;

/// The slots of the first chunk; each chunk has as many as all before it, and as many again.
const FIRST: usize = 64;

/// So many that there is a place for every `u32`.
const CHUNKS: usize = (u32::BITS + 1 - FIRST.ilog2()) as usize;

/// For each slot of a selector the version of the registration in it.
///
/// It grows in chunks that never move, so that neither a lock nor a copy is needed.
pub(super) struct Liveness {
    chunks: [OnceLock<Box<[AtomicU32]>>; CHUNKS],
}

impl Liveness {
    pub(super) fn new() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS] }
    }

    pub(super) fn begin(&self, token: Token) {
        let (chunk, place) = place(token.index());
        let slots = || iter::repeat_with(|| AtomicU32::new(0)).take(FIRST << chunk).collect();
        self.chunks[chunk].get_or_init(slots)[place].store(token.version(), Relaxed);
    }

    pub(super) fn end(&self, token: Token) {
        if let Some(version) = self.version(token) {
            version.store(0, Relaxed);
        }
    }

    /// True from [`begin`](Self::begin) to [`end`](Self::end) of this token.
    #[inline]
    pub(super) fn has(&self, token: Token) -> bool {
        self.version(token).is_some_and(|version| version.load(Relaxed) == token.version())
    }

    #[inline]
    fn version(&self, token: Token) -> Option<&AtomicU32> {
        let (chunk, place) = place(token.index());
        Some(&self.chunks[chunk].get()?[place])
    }
}

/// The chunk of a slot, and its place in it.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let number = u64::from(index) + FIRST as u64;
    let chunk = number.ilog2() - FIRST.ilog2();
    (chunk as usize, (number - ((FIRST as u64) << chunk)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::SlotKey;

    #[test]
    fn every_slot_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        for index in 0..10_000 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        let (chunk, place) = place(u32::MAX);
        assert!(chunk == CHUNKS - 1 && place < FIRST << chunk);
    }

    #[test]
    fn a_registration_lives_from_its_begin_to_its_end() {
        let liveness = Liveness::new();
        for index in [0, 63, 64, 10_000] {
            let [old, new] = [1, 2].map(|version| Token::of(SlotKey::new(index, version)));
            assert!(!liveness.has(old));
            liveness.end(old);
            liveness.begin(old);
            assert!(liveness.has(old) && !liveness.has(new));
            liveness.end(old);
            assert!(!liveness.has(old));
            liveness.begin(new);
            assert!(liveness.has(new) && !liveness.has(old));
        }
    }
}
