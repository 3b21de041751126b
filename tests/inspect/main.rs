//! What is seen of a runtime from outside: the table of tasks.

#[path = "../util/backends.rs"]
mod backends;
#[path = "../util/liar/mod.rs"]
mod liar;
#[path = "../util/runtime.rs"]
mod util;

mod dead_locks;
mod keys;
mod metrics;
mod names;
mod remote;
mod serve;
mod times;
mod waits;
