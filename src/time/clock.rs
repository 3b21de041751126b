//! Layer 4: what time it is.

use std::time::Instant;

use crate::executor::current;
use crate::selector::system_now;

/// The time by the current runtime's clock; outside a runtime, by the system's.
#[must_use]
pub fn now() -> Instant {
    current::get().map_or_else(system_now, |executor| executor.reactor.now())
}
