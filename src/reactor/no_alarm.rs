//! Layer 2: what stands for the alarm on systems that have no timer descriptors. Not tested.

use std::io;
use std::time::Instant;

use super::source::SourceSelector;

/// Cannot be made.
pub(super) enum Alarm {}

impl Alarm {
    pub(super) fn new(_selector: &mut SourceSelector) -> io::Result<Self> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this system has no timer descriptors; use next_deadline to time the foreign loop",
        ))
    }

    pub(super) fn take_events(&self) -> usize {
        match *self {}
    }

    pub(super) fn set(
        &self,
        _deadline: Option<Instant>,
        _now: impl FnOnce() -> Instant,
    ) -> io::Result<()> {
        match *self {}
    }
}
