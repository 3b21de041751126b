//! What the selector promises, on every back end alike, statically typed and boxed.
//!
//! A module per theme; the name of a test reads `timeouts::epoll::a_zero_timeout_polls`. Where
//! back ends differ, the test says what each does instead.

#![cfg(target_os = "linux")]

#[path = "../util/liar/mod.rs"]
mod liar;
#[path = "../util/mod.rs"]
mod util;

mod aliases;
mod bad_input;
mod batch;
mod channel;
mod clock;
mod closed_behind;
mod descriptors;
mod each;
mod hang_up;
mod many;
mod modes;
mod nested;
mod notifier;
mod own_backend;
mod readiness;
mod registering;
mod timeouts;
mod wrapping;
