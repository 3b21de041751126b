//! Async sources, sockets and the clock, as a task sees them, on the back end that
//! `SELKIE_BACKEND` names.
//!
//! Where it matters what the loop does, a test steps the runtime turn by turn (`Stepped`) and
//! counts; elsewhere it runs in `block_on`.

mod budget;
mod cancel;
mod connect;
mod crowds;
mod datagram;
mod devices;
mod echo;
mod edges;
mod flags;
mod idle;
mod incoming;
mod interval;
mod many_timers;
mod modes;
mod reentrance;
mod reset;
mod short_path;
mod sigpipe;
mod source;
mod stream;
mod tcp;
mod timeout;
mod timer;
mod udp;
mod unix;
mod urgent;
mod waiting;

#[path = "../util/child.rs"]
mod child;
#[path = "../util/liar/mod.rs"]
mod liar;
#[path = "../util/terminal.rs"]
mod terminal;
#[path = "../util/async_io.rs"]
mod util;
