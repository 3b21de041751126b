//! What is seen inside a runtime with the optional features of `inspect`: the flight recorder, what is made of
//! it, and the programs of the guide. `tests/spans.rs` has those of `tracing`.

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
