//! Layer 0: what stands for the spans of `tracing` in a build without it: nothing.

use std::borrow::Cow;
use std::panic::Location;

pub(crate) struct TaskSpan;

pub(crate) struct Inside;

#[rustfmt::skip]
impl TaskSpan {
    #[inline(always)]
    pub(crate) fn new(_id: u64, _name: Option<&Cow<'static, str>>, _at: &Location<'_>) -> Self { Self }
    #[inline(always)]
    pub(crate) fn enter(&self) -> Inside { Inside }
}

#[inline(always)]
pub(crate) fn tell_turn(_events: usize, _timers: usize, _polls: usize) {}

const _: () = assert!(size_of::<TaskSpan>() == 0 && size_of::<Inside>() == 0);
