//! The document's programs as a user runs them: as processes of their own, in Rust and in Python
//! (`echo_server.py` and `echo_client.py` beside this file), against each other and against
//! clients and servers that make it hard for them.
//!
//! They are the examples that `cargo test` builds; `cargo test --test interop` does not build
//! them. Without python3 the tests that need it say so and pass, but with CI=true they fail.

#[path = "../util/client.rs"]
mod client;
mod conversation;
mod pressure;
#[path = "../util/process.rs"]
mod process;
mod trouble;
