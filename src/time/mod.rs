//! Waiting for the clock: [`sleep`], [`timeout()`], [`interval()`], [`Timer`].
//!
//! Deadlines are [`Instant`]s, kept to the nanosecond; timeouts are [`Duration`]s. A timer never
//! fires early. What lies beyond the clock's range, as `Duration::MAX` does, never fires at all.
//!
//! [`Instant`]: std::time::Instant
//! [`Duration`]: std::time::Duration

// Layer 5: the clock as tasks see it. Imports `runtime` and `reactor`.
// Invariant: no arithmetic on instants can overflow.

mod interval;
mod timeout;
mod timer;

pub use interval::{Interval, MissedTicks, interval, interval_at};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};
pub use timer::{Timer, sleep, sleep_until};
