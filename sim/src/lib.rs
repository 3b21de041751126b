//! Runs programs on [`selkie`] on simulated hosts: the same program, several hosts, in virtual time,
//! with faults, by a seed.
//!
//! See [`Sim`] for how that looks. A host runs an async function, or a usual `main` with a runtime or
//! an explicit `select()` loop of its own. What it reads and writes are real descriptors; the
//! simulation moves the bytes between them, at virtual times. When no host can go on, the clock jumps
//! to what happens next. One host runs at a time, and all that could come in more than one order
//! (arrivals, ready sources, turns of the hosts) comes in the order that the seed says. So a run can
//! be repeated, and what has failed once fails again.
//!
//! It runs on Linux.

#[cfg(not(target_os = "linux"))]
compile_error!("selkie-sim simulates on Linux only: it needs epoll(7) and eventfd(2)");

mod attempt;
mod backend;
mod baton;
mod by_hand;
mod check;
mod fault;
mod host;
#[doc(hidden)]
pub mod interposed;
mod link;
mod marks;
mod place;
mod rng;
mod shared;
mod sim;
mod socket;
mod state;
mod stepped;
mod stream;
mod tcp;
mod trace;
mod udp;
mod world;

pub use check::{check, check_repeats};
pub use fault::{AcceptError, Fault, Faults, Kind, Wrong};
pub use link::Link;
#[doc(hidden)]
pub use marks::mark;
pub use place::{HostResult, Place};
pub use rng::Rng;
pub use shared::between_runs;
pub use sim::{Host, Sim};
pub use trace::{Difference, Step, Trace};
