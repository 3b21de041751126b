//! Layer 0: what stands for the recorder's ring in a build without it: nothing.

use std::borrow::Cow;
use std::panic::Location;

pub(super) const SHORT: u64 = 1;

pub(super) struct Ring;

#[rustfmt::skip]
impl Ring {
    #[inline(always)]
    pub(super) fn new(_records: usize) -> Self { Self }
    #[inline(always)]
    pub(super) fn event(&self, _fd: i32, _readiness: u8) {}
    #[inline(always)]
    pub(super) fn waited(&self, _began: u64, _now: u64, _events: usize) {}
    #[inline(always)]
    pub(super) fn timers(&self, _time: u64, _count: usize, _late: u64) {}
    #[inline(always)]
    pub(super) fn woken(&self, _time: u64, _id: u64) {}
    #[inline(always)]
    pub(super) fn arrived(&self, _time: u64, _id: u64) {}
    #[inline(always)]
    pub(super) fn poll_begins(&self, _id: u64) {}
    #[inline(always)]
    pub(super) fn polled(&self, _now: u64, _took: u64) {}
    #[inline(always)]
    pub(super) fn polled_shortly(&self, _now: u64, _took: u32) {}
    #[inline(always)]
    pub(super) fn is_in_poll(&self) -> bool { false }
    #[inline(always)]
    pub(super) fn nobody_acts(&self) {}
    #[inline(always)]
    pub(super) fn turn_ends(&self, _woken: u64, _now: u64, _polls: usize) {}
    #[inline(always)]
    pub(super) fn ended(&self, _time: u64, _id: u64) {}
    #[inline(always)]
    pub(super) fn spawned(
        &self, _time: u64, _id: u64, _at: &'static Location<'static>, _name: Option<&Cow<'static, str>>,
    ) {}
}

#[rustfmt::skip]
impl Ring {
    #[inline(always)]
    pub(super) fn spawned_elsewhere(
        &self, _time: u64, _id: u64, _at: &'static Location<'static>, _name: Option<&Cow<'static, str>>,
    ) {}
}

const _: () = assert!(size_of::<Ring>() == 0);
