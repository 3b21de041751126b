//! The examples, run as a user runs them: what they print, that they end well, that none of them
//! has a second thread unless it is about threads, and what the echo server is like to clients of
//! every kind, one or five thousand.
//!
//! They are the examples that `cargo test` builds; `cargo test --test examples` does not build
//! them. `SELKIE_BACKEND` goes through to them. The echo of the explicit loop is in
//! `tests/interop`.

#[path = "../util/client.rs"]
mod client;
mod crowd;
mod echo;
mod half_close;
mod pairs;
#[path = "../util/process.rs"]
mod process;
mod select_chat;
mod short;
mod trouble;
