//! Layer 3: a pointer to what is known of a task.
//! Invariant: who holds one is a part of the task's future or has its handle, or lets go before
//! these do.

use std::ptr::NonNull;

use super::shared::Origin;

/// Points to an origin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct OriginRef(NonNull<Origin>);

// SAFETY: it gives out a `&Origin` and nothing else, and origins are `Sync`.
unsafe impl Send for OriginRef {}
// SAFETY: as above.
unsafe impl Sync for OriginRef {}

const _: () = {
    const fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<Origin>();
};

impl OriginRef {
    pub(super) fn new(origin: &Origin) -> Self {
        Self(NonNull::from(origin))
    }

    /// # Safety
    /// For as long as the reference is used, the task's future is alive, or its handle.
    pub(super) unsafe fn get<'a>(self) -> &'a Origin {
        // SAFETY: async-task keeps the metadata in place until both are gone, and lends it by
        // shared reference only.
        unsafe { self.0.as_ref() }
    }
}
