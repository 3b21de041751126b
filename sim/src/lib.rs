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
//! ```
//! use selkie_sim::{Faults, check, sometimes};
//! use std::time::Duration;
//!
//! const SECOND: Duration = Duration::from_secs(1);
//!
//! // Each seed is another run. One that fails is told with its faults, as few as can be.
//! check(0..20, |sim| {
//!     let host = sim.host("host", || selkie::sleep(100 * SECOND));
//!     sim.draw_faults(&Faults::new(&[host], 10 * SECOND));
//!     assert!(sim.run_until_ended(host, 1000 * SECOND));
//!     sometimes!(sim.now() > 101 * SECOND);
//! });
//! ```
//!
//! The page [`simulation`](selkie::guide::simulation) of selkie's guide finds two bugs, step by step.
//!
//! # What is simulated
//!
//! | | |
//! | --- | --- |
//! | TCP by `Async` and `net::nonblocking` | connecting, queues, windows, half-close, resets, time-outs, `nodelay`, `peek` |
//! | UDP by `Async` | delay, loss, doubling, reordering; an answer of a host where nobody hears |
//! | names | those of the hosts, and `localhost` |
//! | time | `selkie::time`, timers, timeouts of `select()` |
//! | `unblock` | a job runs at once, and takes no virtual time |
//! | what goes wrong | see [`Wrong`] |
//! | Unix streams by `Async` | by paths that are each host's own, within one host, where they take no time |
//! | Unix datagrams, listeners of std and what they are reached by, pipes, files | are the system's, and the same for all hosts |
//!
//! [`alone`] makes the thread of a usual test a host. So do most of the crate's own tests run in virtual
//! time (`tests/suite`, `tests/suite_runtime`).
//!
//! `tests/parity` has the same conversations over the real loopback and the simulated one, and compares
//! what the programs see, call by call. What differs, and why, is in its `differences.rs`.
//!
//! # What is not covered
//!
//! A run repeats as long as all that a program asks is answered by the simulation. If it does not,
//! [`check_repeats`] tells the first step that differs.
//!
//! | what leaks in | what to do |
//! | --- | --- |
//! | threads that a host starts | a notification by one fails the run; [`Sim::allow_threads`] goes on without a promise |
//! | std's clocks: `Instant::now` | `selkie::time::now`; or [`interpose!`], which answers them, too |
//! | the order of a `HashMap`, other randomness of the system | [`interpose!`]; or a map with an order. [`Rng`] for a program's own |
//! | statics and globals | they are those of all hosts, of all seeds in a process, and outlive a restart. Thread-locals are fresh at each start, but not those of [`Sim::host_stepped`] |
//! | `std::thread::sleep` | [`interpose!`] makes it virtual |
//! | blocking reads, locks that wait for another host | they block the simulation in real time; a watchdog names the host |
//! | std's `local_addr` of a listener, on a port where the machine itself listens | `Async::local_addr`; or [`interpose!`] |
//! | sockets of the real network | are refused when they are registered |
//! | files | outlive a restart, and are the same for all hosts |
//! | child processes, signals | are real, and come when they come |
//! | `std::process::exit` on a host | would end the test, as if it had passed: the process ends with an error that names the host |
//! | a process that other threads of the test's program start | holds descriptors for a moment: [`between_runs`] |
//! | destructors of a host that is killed | run, as SIGKILL would not have them; they reach no network |
//! | urgent data, `SO_LINGER`, TTL, `IP_*` | are those of a Unix socket, which has none |
//!
//! A kernel of another version may fill its sockets otherwise; then a seed has another run there.
//!
//! # Limits
//!
//! It runs on Linux. How fast, `sim/figures.txt` in the repository tells. A connection needs four
//! descriptors, and a host a thread, unless it is [stepped](Sim::host_stepped). Streams lose nothing,
//! and what comes after a partition comes late, as TCP has it; there is no congestion control.
//!
//! One thread runs at a time, and each wait hands on to another. On a machine that has nothing else to
//! do the system wakes that one on another processor, which takes longer than to stay: hosts with
//! threads are twice as fast under `taskset -c 0 cargo test`. A stepped host is twice as fast again.

#[cfg(not(target_os = "linux"))]
compile_error!("selkie-sim simulates on Linux only: it needs epoll(7) and eventfd(2)");

mod alone;
mod attempt;
mod backend;
mod baton;
mod by_hand;
mod change;
mod check;
mod draw;
mod exit;
mod fault;
mod host;
#[doc(hidden)]
pub mod interposed;
mod lane;
mod link;
mod listen;
mod marks;
mod perfetto;
mod place;
mod rng;
mod shared;
mod shrink;
mod sim;
mod socket;
mod state;
mod stepped;
mod stream;
mod tcp;
mod told;
mod trace;
mod udp;
mod unix;
mod world;

pub use alone::{Alone, alone};
pub use check::{check, check_repeats};
pub use draw::{Faults, Kind};
pub use fault::{AcceptError, Fault, Wrong};
pub use link::Link;
#[doc(hidden)]
pub use marks::mark;
pub use place::{HostResult, Place};
pub use rng::Rng;
pub use shared::between_runs;
pub use sim::{Host, Sim};
pub use trace::{Difference, Step, Trace};
