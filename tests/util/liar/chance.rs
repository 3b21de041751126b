//! A source of chance that means the same for ever, whoever runs it: no clock, no state but one
//! number, and no crate whose next release would make another sequence of an old seed.

/// SplitMix64 (Steele, Lea and Flood, 2014): a counter that is stirred.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Another one, which does not depend on what is drawn from this one later.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// Of `0..end`; `end` is not zero.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// An index into something that has `len`.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    pub fn percent(&mut self, percent: u8) -> bool {
        percent > 0 && self.below(100) < percent.into()
    }

    pub fn coin(&mut self) -> bool {
        self.percent(50)
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}
