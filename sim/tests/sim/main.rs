//! What a simulation promises.

mod alone;
mod bad_use;
mod checking;
mod endings;
mod faults;
mod hosts;
mod repeats;
mod sockets;
mod stepped;
mod udp;
mod unix;
#[path = "../util/mod.rs"]
mod util;
