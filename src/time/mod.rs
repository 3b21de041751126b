//! Waiting for the clock: [`sleep`], [`timeout()`], [`interval()`], [`Timer`].
//!
//! Deadlines are [`Instant`]s, kept to the nanosecond; timeouts are [`Duration`]s. A timer never
//! fires early. What lies beyond the clock's range, as `Duration::MAX` does, never fires at all.
//!
//! The clock is that of the runtime's back end, which [`now`] reads: the system's monotonic clock,
//! unless a back end brings its own, as a simulation does.
//!
//! [`Instant`]: std::time::Instant
//! [`Duration`]: std::time::Duration

// Layer 4: the clock as tasks see it. Invariant: no arithmetic on instants can overflow.

mod clock;
mod interval;
mod sleep;
mod timeout;
mod timer;

pub use clock::now;
pub use interval::{Interval, MissedTicks, interval, interval_at};
pub(crate) use sleep::OnReactor;
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};
pub use timer::Timer;
