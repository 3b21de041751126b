//! What goes on inside: [`tasks`] tells what each task waits for, [`metrics`] what the loop has done.
//!
//! A program hangs: which task, and on what? The loop knows who waits for which descriptor, in
//! which direction, and until when. It is asked when somebody wants to know, and costs no time before:
//! a task keeps where and when it was spawned, and who awaits it, in 40 bytes, and that is all.
//!
//! ```
//! use std::net::TcpListener;
//! use selkie::{Async, inspect};
//!
//! selkie::block_on(async {
//!     let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
//!     let server = selkie::spawn_named("server", async move { listener.accept().await.map(|_| ()) });
//!     selkie::yield_now().await;
//!     let tasks = inspect::tasks();
//!     println!("{tasks}");
//!     let waits = tasks.get(server.id()).unwrap().waits[0].to_string();
//!     assert!(waits.starts_with("accept on TCP listener 127.0.0.1:"), "{waits}");
//!     # drop(server);
//!     # Ok::<(), std::io::Error>(())
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The table is had by [`tasks`] in a task, by [`Runtime::tasks`](crate::Runtime::tasks) between
//! turns, and by [`Remote::tasks`](crate::Remote::tasks) on another thread.
//!
//! A program that has [`serve`] among its tasks is asked from outside, by a socket in the file system.
//! What an explicit loop watches is told by [`Selector::keys`](crate::Selector::keys); with the feature
//! `record`, `Recorder` records what it does.
//!
//! # What has to be asked for
//! - [`Builder::timing`](crate::Builder::timing): how often and how long each task is polled, what the
//!   loop spends its [time](Times) with, and, on any thread, [which task
//!   runs](crate::Remote::running).
//! - [`Builder::slow_poll`](crate::Builder::slow_poll): a hook that is told of each poll that took long.
//! - The feature `record`: a flight recorder in each runtime, and `recording`, which has what the loop
//!   did lately, for Perfetto and Chrome to draw. It costs a reading of the processor's counter and
//!   three records of 16 bytes for each poll that an event leads to: about a seventh of the crate's own
//!   work for a message, and next to nothing of the time of an echo, most of which is the system's.
//! - The feature `tracing`: a span of that crate for each task, which its polls enter, and an event
//!   for each turn, at the level `trace`, under the targets `selkie::task` and `selkie::turn`.
//!
//! The guide shows how a [dead-lock](crate::guide::dead_lock), [a task that
//! blocks](crate::guide::blocked) and [one that starves the others](crate::guide::starved) are found.
//!
//! # What it cannot see
//! What a task waits for is found by its waker: whatever would call it, wakes it. A waker of another
//! crate's making (in `FuturesUnordered`, in `join_all` of more than thirty futures) hides whose it
//! is; what it waits for is listed [apart](Tasks::others). A channel or a lock of another crate
//! keeps its wakers to itself: such a task is [woken by hand](Wait::ByHand), unless it says what it
//! waits for by [`waits_for`]. And a waker that is left behind, by a future that was polled by a
//! `poll_*` function and given up, would wake its task all the same, and is told.

// Layer 6: looks at all below it. Invariant: to look calls no user code and changes nothing.

mod columns;
mod file;
mod forest;
mod gather;
mod keys;
mod metrics;
mod print;
#[cfg(feature = "record")]
mod recording;
mod remote;
mod serve;
mod tasks;
mod wait;
mod waits_for;

pub use self::file::{File, FileKind};
pub use self::gather::tasks;
pub use self::keys::{KeyInfo, Keys};
pub use self::metrics::{Metrics, Times, metrics};
#[cfg(feature = "record")]
pub use self::recording::{Actor, Entry, Recorder, Recording, What, recording};
pub use self::serve::{listen, serve};
pub use self::tasks::{TaskInfo, Tasks};
pub use self::wait::{Wait, WaitFor};
pub use self::waits_for::{WaitsFor, waits_for};
pub use crate::executor::RunningTask;
pub use crate::runtime::SlowPoll;
