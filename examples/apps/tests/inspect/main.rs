//! What is seen inside a runtime with the optional features of `inspect`: the flight recorder and
//! `tracing`.

mod explicit;
mod guide;
mod paper;
mod picture;
#[path = "../../../../tests/util/process.rs"]
mod process;
mod ps;
mod recording;
mod refused;
mod trace;
mod tracing_spans;
