//! Layer 0: what stands for the processor's counter in a build without the recorder: nothing.

use std::convert::Infallible;

pub(super) struct Ticks(Infallible);

#[rustfmt::skip]
impl Ticks {
    #[inline(always)]
    pub(super) fn begin() -> Option<Self> { None }
    #[inline(always)]
    pub(super) fn count(&self) -> u64 { match self.0 {} }
    #[inline(always)]
    pub(super) fn now(&self, _latest: u64) -> u64 { match self.0 {} }
}

const _: () = assert!(size_of::<Option<Ticks>>() == 0);
