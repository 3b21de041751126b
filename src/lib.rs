// A link that is defined twice is the first one: the page here, its file in the repository.
//! [loops]: crate::guide::loops
//! [steps]: crate::guide::steps
//! [skins]: crate::guide::skins
//! [embedding]: crate::guide::embedding
//! [libraries]: crate::guide::libraries
//! [shutdown]: crate::guide::shutdown
//! [time]: crate::guide::time
//! [coming_from]: crate::guide::coming_from
//! [not_guaranteed]: crate::guide::not_guaranteed
//! [house]: crate::guide::house
//! [simulation]: crate::guide::simulation
//! [dead_lock]: crate::guide::dead_lock
//! [blocked]: crate::guide::blocked
//! [starved]: crate::guide::starved
#![doc = include_str!("../README.md")]

#[cfg(windows)]
compile_error!(
    "selkie has not been tested on Windows and does not build there: \
     use it on a Unix (Linux is tested), or help us to add and test a back end"
);

#[cfg(not(any(target_os = "linux", feature = "polling", windows)))]
compile_error!("outside Linux, selkie needs its feature `polling`, which is on by default");

mod executor;
pub mod guide;
#[cfg(feature = "hyper")]
pub mod hyper;
pub mod inspect;
mod interest;
pub mod io;
pub mod net;
mod panics;
mod probe;
#[cfg(all(feature = "process", target_os = "linux"))]
pub mod process;
mod reactor;
mod runtime;
pub mod selector;
#[cfg(feature = "signal")]
pub mod signal;
mod slots;
mod sync;
mod sys;
pub mod task;
mod text;
pub mod time;
mod timers;
#[cfg(feature = "unblock")]
pub mod unblock;
pub mod world;

pub use executor::{AbortHandle, Outcome, Panic, Task, TaskError};
pub use interest::{Interest, Readiness};
pub use io::Async;
pub use runtime::{
    Builder, ConsumeBudget, Remote, Runtime, Turn, UnobservedPanic, YieldNow, block_on,
    consume_budget, local, setting, spawn, spawn_named, try_block_on, yield_now,
};
#[cfg(feature = "polling")]
pub use selector::PollingSelector;
pub use selector::{
    DefaultSelector, Events, Key, Mode, Notifier, RegisterError, Selector, SelectorKey,
};
#[cfg(target_os = "linux")]
pub use selector::{EpollSelector, PollSelector, SelectSelector};
pub use task::{Cancel, TaskGroup};
pub use time::{Sleep, Timer, interval, sleep, sleep_until, timeout};
#[cfg(feature = "unblock")]
pub use unblock::unblock;
