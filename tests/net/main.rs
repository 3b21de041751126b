//! Addresses and names, connections to several addresses, listeners with options, copying, and the
//! threads that some of it needs, on the back end that `SELKIE_BACKEND` names.

mod address;
mod copy;
mod keepalive;
mod limit;
mod listen;
#[cfg(feature = "resolve")]
mod names;
mod race;
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
