//! Random numbers by a key, and the hash of the trace.
//! Invariant: a stream depends on its key alone, so that what one stream is asked for shifts no
//! other one.

use std::time::Duration;

/// Mixes two words into one (the end of SplitMix64, over both).
pub(crate) const fn mix(hash: u64, word: u64) -> u64 {
    let mut z = hash.rotate_left(23) ^ word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The hash of some bytes.
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = mix(0, bytes.len() as u64);
    let (words, rest) = bytes.as_chunks();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash, u64::from_le_bytes(last))
}

/// A stream of random numbers (SplitMix64): the same for the same key.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of this seed and this key.
    #[must_use]
    pub fn keyed(seed: u64, key: &[u64]) -> Self {
        Self(key.iter().fold(mix(0, seed), |hash, word| mix(hash, *word)))
    }

    /// The next number, of 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(0, self.0)
    }

    /// A number below `end`, or 0 if that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The high half of the product; its bias is that of 64 bits against `end`.
        ((u128::from(self.next_u64()) * u128::from(end)) >> 64) as u64
    }

    /// A time below `end`.
    pub fn time_below(&mut self, end: Duration) -> Duration {
        Duration::from_nanos(self.below(nanos(end)))
    }

    /// True with this probability, of 0 to 1.
    pub fn chance(&mut self, probability: f64) -> bool {
        // 53 bits are as many as a float has.
        ((self.next_u64() >> 11) as f64) < probability * (1_u64 << 53) as f64
    }

    /// Brings a list into another order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.below(end as u64 + 1) as usize);
        }
    }
}

/// A duration as nanoseconds, of which there are enough for 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_its_key_alone() {
        let draw = |key: &[u64]| {
            let mut rng = Rng::keyed(7, key);
            [(); 4].map(|()| rng.next_u64())
        };
        assert_eq!(draw(&[1, 2]), draw(&[1, 2]));
        assert_ne!(draw(&[1, 2]), draw(&[2, 1]));
        assert_ne!(draw(&[1]), draw(&[1, 0]));
    }

    #[test]
    fn numbers_are_spread_over_their_range() {
        let mut rng = Rng::keyed(1, &[]);
        let mut seen = [0; 10];
        (0..10_000).for_each(|_| seen[rng.below(10) as usize] += 1);
        assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
        let heads = (0..10_000).filter(|_| rng.chance(0.25)).count();
        assert!((2300..2700).contains(&heads), "{heads}");
        assert!(!rng.chance(0.0) && rng.chance(1.0) && rng.below(0) == 0);
    }

    #[test]
    fn a_hash_of_bytes_knows_their_order_and_their_number() {
        let texts: [&[u8]; 5] = [b"", b"\0", b"\0\0", b"ab", b"ba"];
        let hashes = texts.map(hash_bytes);
        let different: std::collections::BTreeSet<_> = hashes.into_iter().collect();
        assert_eq!(different.len(), texts.len());
    }
}
