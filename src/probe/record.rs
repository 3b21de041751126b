//! Layer 0: one record of the flight recorder.
//! Limits: times up to two years; durations in 30 bits of a unit that grows with them.

use std::cell::Cell;

/// What is recorded. In the comments: what the record's two numbers say; its time is that of the
/// latest reading of the clock before, which was at the beginning of a poll, or at the end of a
/// wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// At its end: how many sources had an event; how long it took.
    Wait = 1,
    /// At its end: how many polls it made; how long it took after the wait.
    Turn,
    /// Descriptor; readiness. Of the wait that is recorded next; its time is that one's.
    Event,
    /// How many were due; by how much the first one was late.
    Timers,
    /// Who is woken; by whom.
    Wake,
    /// At its end: who was polled; how long it took.
    Poll,
    /// Who is spawned; by whom.
    Spawn,
    /// Who was spawned; the number of the place.
    Place,
    /// Who ends.
    End,
    /// Who is woken, or spawned, by another thread or between turns.
    Arrival,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Wait,
        Self::Turn,
        Self::Event,
        Self::Timers,
        Self::Wake,
        Self::Poll,
        Self::Spawn,
        Self::Place,
        Self::End,
        Self::Arrival,
    ];
}

/// Who acts if no task does: somebody outside the loop's turns, or other code within one.
pub(crate) const OUTSIDE: u32 = u32::MAX;
/// Who acts if no task does: the loop.
pub(crate) const LOOP: u32 = u32::MAX - 1;

/// 56 bits of time, in nanoseconds, and 8 of the kind; then the two numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) when: u64,
    pub(crate) a: u32,
    pub(crate) b: u32,
}

/// A record in the ring. Two cells, not one: the halves of a value that is stored as a whole are
/// first put together in memory, and the processor waits for that.
pub(super) type Packed = [Cell<u64>; 2];

const _: () = assert!(size_of::<Packed>() == 16);

impl Record {
    #[inline]
    pub(super) fn new(time: u64, kind: Kind, a: u32, b: u32) -> Self {
        Self { when: time << 8 | kind as u64, a, b }
    }

    #[inline]
    pub(super) fn pack(self, [when, both]: &Packed) {
        when.set(self.when);
        both.set(u64::from(self.b) << 32 | u64::from(self.a));
    }

    pub(super) fn unpacked([when, both]: &Packed) -> Self {
        let both = both.get();
        Self { when: when.get(), a: both as u32, b: (both >> 32) as u32 }
    }

    /// Converts what was read of a clock.
    pub(super) fn convert(&mut self, convert: impl Fn(u64) -> u64) {
        let Some(kind) = self.kind() else { return };
        let (end, now) = (self.time(), convert(self.time()));
        if matches!(kind, Kind::Wait | Kind::Turn | Kind::Poll) {
            // By its beginning, so that what follows another still does.
            let began = convert(end - unpack_duration(self.b).min(end));
            self.b = pack_duration(now - began);
        }
        *self = Self::new(now, kind, self.a, self.b);
    }

    /// In nanoseconds since the loop was made.
    pub(crate) fn time(self) -> u64 {
        self.when >> 8
    }

    /// `None` in a damaged file.
    pub(crate) fn kind(self) -> Option<Kind> {
        let number = self.when as u8;
        Kind::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// A shorter duration is packed as it is.
pub(crate) const SHORT: u64 = 1 << 30;

/// Nanoseconds in 30 bits and a unit of 1, 2⁸, 2¹⁶ or 2²⁴ of them: 200 days, exact for a second.
#[inline]
pub(crate) fn pack_duration(nanos: u64) -> u32 {
    if nanos < SHORT { nanos as u32 } else { pack_long(nanos) }
}

#[cold]
fn pack_long(nanos: u64) -> u32 {
    for unit in 1..4_u32 {
        let count = nanos >> (8 * unit);
        if count < 1 << 30 {
            return unit << 30 | count as u32;
        }
    }
    u32::MAX
}

/// The nanoseconds of a packed duration.
pub(crate) fn unpack_duration(packed: u32) -> u64 {
    u64::from(packed & ((1 << 30) - 1)) << (8 * (packed >> 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_packed_exactly_if_short_and_nearly_if_long() {
        for nanos in [0, 1, 999_999_999, (1 << 30) - 1] {
            assert_eq!(unpack_duration(pack_duration(nanos)), nanos);
        }
        for nanos in [1 << 30, 80_000_000_000, 86_400_000_000_000, 17_000_000_000_000_000] {
            let unpacked = unpack_duration(pack_duration(nanos));
            assert!(unpacked <= nanos && nanos - unpacked <= nanos >> 22, "{nanos} {unpacked}");
        }
        assert!(unpack_duration(pack_duration(u64::MAX)) > 1 << 53);
    }

    #[test]
    fn a_record_keeps_time_and_kind() {
        for kind in Kind::ALL {
            let record = Record::new((1 << 56) - 1, kind, 1, 2);
            assert_eq!((record.time(), record.kind()), ((1 << 56) - 1, Some(kind)));
            let packed = Packed::default();
            record.pack(&packed);
            assert_eq!(Record::unpacked(&packed), record);
        }
        assert_eq!(Record::default().kind(), None);
    }
}
