//! Tasks in groups, and how they are asked to end: [`TaskGroup`] and [`Cancel`].
//!
//! A [`Task`] that is dropped is cancelled, so a struct that holds its tasks ends them with it.
//! For tasks that come and go, as the connections of a server do, there is [`TaskGroup`]: it knows
//! which of them are still running, and [`TaskGroup::shutdown`] ends them within a time. A
//! [`Cancel`] token asks tasks, on any thread, to end by themselves.

// Layer 5: groups of tasks, and the token. Invariant: no value, waker or task is called or dropped
// while a group or a token is borrowed or locked.

mod cancel;
mod cancelled;
mod group;
mod member;
mod node;
mod shutdown;
mod state;

pub use crate::executor::{AbortHandle, Outcome, Panic, Task, TaskError, TaskId, TaskState};
pub use cancel::Cancel;
pub use cancelled::{Cancelled, RunUntilCancelled};
pub use group::{Spawner, TaskGroup};
pub use shutdown::Shutdown;
pub use state::OnPanic;
