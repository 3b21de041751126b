//! Layer 4: what time it is.

use std::time::Instant;

use crate::executor::current;
use crate::selector::world;

/// The time by the current runtime's clock; outside a runtime, by that of the thread's
/// [`world`](crate::world), which is usually the system's.
#[must_use]
pub fn now() -> Instant {
    current::get().map_or_else(world::present, |executor| executor.reactor.now())
}
