//! What a simulation promises.

mod bad_use;
mod checking;
mod faults;
mod hosts;
mod repeats;
mod stepped;
mod udp;
#[path = "../util/mod.rs"]
mod util;
