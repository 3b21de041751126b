//! Work that blocks, and its threads, on the back end that `SELKIE_BACKEND` names.

#[cfg(feature = "unblock")]
mod unblock;

#[path = "../util/alone.rs"]
mod alone;
#[path = "../util/child.rs"]
mod child;
#[path = "../util/liar/mod.rs"]
mod liar;
#[allow(dead_code)] // Not all of it is needed here.
#[path = "../util/async_io.rs"]
mod util;
