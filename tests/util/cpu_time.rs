//! How much a thread has worked. Not by rustix, whose way to the clock valgrind hides.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The processor time that this thread has used.
pub fn thread_cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}
