//! The bytes that are sent: cheap to make and to compare, and different wherever a server
//! could mix things up.

/// Bytes until the pattern repeats: a prime, so that no message size divides it and every
/// message of a connection differs from the ones before it.
const PERIOD: usize = 65_521;

/// An endless stream of bytes.
pub struct Pattern {
    /// The period twice, so that every slice of up to a period lies in one piece.
    bytes: Vec<u8>,
}

impl Pattern {
    /// The longest slice.
    pub const MAX: usize = PERIOD;

    pub fn new() -> Self {
        // xorshift64: any bytes without a short period do.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let period: Vec<u8> = (0..PERIOD)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 56) as u8
            })
            .collect();
        Self { bytes: [period.as_slice(), &period].concat() }
    }

    /// `len` bytes from `position` of the stream on; at most [`MAX`](Self::MAX).
    pub fn at(&self, position: u64, len: usize) -> &[u8] {
        let start = (position % PERIOD as u64) as usize;
        &self.bytes[start..start + len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_same_however_it_is_cut() {
        let pattern = Pattern::new();
        let (whole, mut cut) = (pattern.at(65_000, 3_000), Vec::new());
        for (position, len) in [(65_000, 1), (65_001, 999), (66_000, 2_000)] {
            cut.extend_from_slice(pattern.at(position, len));
        }
        assert_eq!(cut, whole);
        assert_ne!(pattern.at(0, 64), pattern.at(64, 64));
        assert_eq!(pattern.at(7, Pattern::MAX), pattern.at(7 + PERIOD as u64, Pattern::MAX));
    }
}
