//! Layer 0: what threads share, and how one waits for another.
//! Imports std alone; or, in unit tests under `--cfg loom`, loom, which runs its threads in every
//! order there is. Those tests are the modules called `loom` in `executor` and `runtime`.

#[cfg(all(test, loom))]
mod loom;

#[cfg(all(test, loom))]
pub(crate) use self::loom::*;
#[cfg(not(all(test, loom)))]
pub(crate) use std::{
    sync::atomic::{AtomicBool, AtomicU8},
    sync::{Mutex, MutexGuard},
    thread::sleep as nap,
    thread_local,
};
