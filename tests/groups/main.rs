//! Groups of tasks, and the token that asks them to end.

#[path = "../util/allocator.rs"]
mod allocator;
#[path = "../util/backends.rs"]
mod backends;
#[path = "../util/liar/mod.rs"]
mod liar;
#[path = "../util/runtime.rs"]
mod util;

mod cancel;
mod group;
mod memory;
mod panics;
mod reentrance;
mod shutdown;
