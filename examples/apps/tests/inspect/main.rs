//! What is seen inside a runtime with the optional features of `inspect`: the flight recorder and
//! `tracing`.

mod paper;
mod recording;
mod refused;
mod trace;
mod tracing_spans;
