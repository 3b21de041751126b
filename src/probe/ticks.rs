//! Layer 0: the processor's counter of time, which is read in a fifth of the time that the system's
//! clock takes: for the recorder, which reads one for each poll.
//! Limits: x86-64 with a counter that never changes its pace; elsewhere there is none.
//! Invariant: what is read never falls, and never leaps.

use std::cell::Cell;

/// Of the counter, the ticks that count as one: a time in a record holds for six years then.
const SHIFT: u32 = 3;

/// More than the time between two readings.
const LEAP: u64 = 1 << 60;

pub(super) struct Ticks {
    began: Cell<u64>,
}

impl Ticks {
    /// A counter that begins now; `None` if the processor has none that is a clock.
    pub(super) fn begin() -> Option<Self> {
        is_steady().then(|| Self { began: Cell::new(counter()) })
    }

    /// How many there have been, if the counter has not leapt.
    #[inline]
    pub(super) fn count(&self) -> u64 {
        counter().wrapping_sub(self.began.get()) >> SHIFT
    }

    /// How many there have been, where there were `latest` at the latest reading.
    #[inline]
    pub(super) fn now(&self, latest: u64) -> u64 {
        let now = self.count();
        if now.wrapping_sub(latest) < LEAP { now } else { self.begin_anew(latest) }
    }

    /// The counter has begun anew, as it may while the machine sleeps, or another processor's lags.
    #[cold]
    fn begin_anew(&self, latest: u64) -> u64 {
        self.began.set(counter().wrapping_sub(latest << SHIFT));
        latest
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn counter() -> u64 {
    // SAFETY: needs a processor with the instruction, which each of this architecture has.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// True if the counter has the same pace in all states of the processor (Intel's manual, volume 3,
/// section "Invariant TSC"; AMD has the same bit).
#[cfg(all(target_arch = "x86_64", not(miri)))]
// Newer compilers know that each processor of this architecture has the instruction.
#[allow(unused_unsafe)]
fn is_steady() -> bool {
    use std::arch::x86_64::__cpuid;

    const POWER: u32 = 0x8000_0007;
    // SAFETY: needs a processor with the instruction, which each of this architecture has.
    let last = unsafe { __cpuid(0x8000_0000) }.eax;
    // SAFETY: as above.
    last >= POWER && unsafe { __cpuid(POWER) }.edx & 1 << 8 != 0
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn counter() -> u64 {
    0
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn is_steady() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_begins_anew_goes_on_from_the_latest_reading() {
        let Some(ticks) = Ticks::begin() else { return };
        let before = ticks.now(0);
        // As if the machine had slept, and counted from zero.
        ticks.began.set(ticks.began.get().wrapping_add(1 << 62));
        assert_eq!(ticks.now(before), before);
        let after = ticks.now(before);
        assert!(after >= before && after - before < LEAP, "{before} {after}");
    }
}
