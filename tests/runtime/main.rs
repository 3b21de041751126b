//! The executor and the runtime: tasks, the traps of such systems, fairness, and the contract
//! with a foreign loop. All of it holds on every back end; run it with each of
//! `SELKIE_BACKEND=epoll|poll|select|polling`.

#[path = "../util/backends.rs"]
mod backends;
#[path = "../util/child.rs"]
mod child;
#[path = "../util/cpu_time.rs"]
mod cpu_time;
#[path = "../util/liar/mod.rs"]
mod liar;
#[path = "../util/runtime.rs"]
mod util;

#[cfg(not(miri))]
mod alarm;
#[cfg(not(miri))]
mod budget;
#[cfg(not(miri))]
mod builder;
mod contained;
#[cfg(not(miri))]
mod descriptor;
mod driver;
mod endings;
#[cfg(not(miri))]
mod fairness;
mod frames;
#[cfg(not(miri))]
mod loops;
#[cfg(not(miri))]
mod nesting;
mod panics;
mod scenarios;
mod seen;
mod tasks;
mod threads;
mod turns;
mod wakers;
mod wakes;
