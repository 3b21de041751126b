//! How long bytes are on their way.
//! Invariant: what arrives when is decided when it is sent, by the stream of its own connection.

use std::time::Duration;

use crate::rng::{Rng, nanos};

/// What is between two hosts, one way.
///
/// ```
/// use selkie_sim::Link;
/// use std::time::Duration;
///
/// let slow = Link::new(Duration::from_millis(40)).jitter(Duration::from_millis(5)).loss(0.01);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    pub(crate) latency: Duration,
    pub(crate) jitter: Duration,
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) fragmentation: f64,
    pub(crate) loss: f64,
    pub(crate) doubling: f64,
}

/// The most that a TCP segment carries, with an Ethernet's usual frames. Streams are cut into
/// smaller pieces only where less than that is there, or bulk transfers take for ever.
pub(crate) const SEGMENT: usize = 1460;

/// The most that goes as one piece, as with a network card that segments by itself.
pub(crate) const PIECE: usize = 64 * 1024;

impl Link {
    /// A link on which each byte is so long on its way, and nothing is lost.
    #[must_use]
    pub const fn new(latency: Duration) -> Self {
        let (bytes_per_second, fragmentation) = (None, 0.0);
        Self {
            latency,
            jitter: Duration::ZERO,
            bytes_per_second,
            fragmentation,
            loss: 0.0,
            doubling: 0.0,
        }
    }

    /// Up to so much longer, by the seed. A stream's bytes stay in order, datagrams do not.
    #[must_use]
    pub const fn jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }

    /// How many bytes a second it carries. Usually there is no limit.
    ///
    /// # Panics
    /// If that is zero: a partition is a fault.
    #[must_use]
    #[track_caller]
    pub const fn bandwidth(mut self, bytes_per_second: u64) -> Self {
        assert!(bytes_per_second > 0, "a link carries a byte a second at least; cut it instead");
        self.bytes_per_second = Some(bytes_per_second);
        self
    }

    /// The probability that what a stream sent at once arrives in pieces.
    #[must_use]
    pub const fn fragmentation(mut self, probability: f64) -> Self {
        self.fragmentation = probability;
        self
    }

    /// The probability that a datagram is lost. (A stream's segments would be sent again.)
    #[must_use]
    pub const fn loss(mut self, probability: f64) -> Self {
        self.loss = probability;
        self
    }

    /// The probability that a datagram arrives twice.
    #[must_use]
    pub const fn doubling(mut self, probability: f64) -> Self {
        self.doubling = probability;
        self
    }

    /// How long one piece takes, but for its own length.
    pub(crate) fn delay(&self, rng: &mut Rng) -> u64 {
        nanos(self.latency) + rng.below(nanos(self.jitter))
    }

    /// How long its bytes take to get on the link.
    pub(crate) fn transmission(&self, len: usize) -> u64 {
        let Some(rate) = self.bytes_per_second else { return 0 };
        let time = len as u128 * 1_000_000_000 / u128::from(rate);
        u64::try_from(time).unwrap_or(u64::MAX)
    }

    /// Where `len` bytes that were sent at once are cut: the length of the first piece.
    pub(crate) fn piece(&self, len: usize, rng: &mut Rng) -> usize {
        let most = len.min(PIECE);
        if !rng.chance(self.fragmentation) {
            return most;
        }
        let least = SEGMENT.min(most);
        let longer = most - least;
        if longer > 0 {
            least + rng.below(longer as u64) as usize
        } else {
            1 + rng.below(most as u64) as usize
        }
    }
}

impl Default for Link {
    /// That of a data centre: half a millisecond, with as much jitter, and some fragmentation.
    fn default() -> Self {
        let half = Duration::from_micros(500);
        Self::new(half).jitter(half).fragmentation(0.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_a_segment_at_least_where_there_is_as_much() {
        let link = Link::default().fragmentation(1.0);
        let mut rng = Rng::keyed(0, &[]);
        for len in [1, 2, 100, SEGMENT, SEGMENT + 1, 10_000, 10 * PIECE] {
            for _ in 0..100 {
                let piece = link.piece(len, &mut rng);
                assert!(piece >= 1 && piece <= len.min(PIECE));
                assert!(len <= SEGMENT || piece >= SEGMENT, "{piece} of {len}");
            }
        }
        assert_eq!(Link::new(Duration::ZERO).piece(9, &mut rng), 9);
    }

    #[test]
    fn a_narrow_link_takes_its_time_for_each_byte() {
        let link = Link::new(Duration::ZERO).bandwidth(1000);
        assert_eq!(link.transmission(500), 500_000_000);
        assert_eq!(Link::default().transmission(usize::MAX), 0);
    }
}
