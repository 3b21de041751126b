//! The timer queue against a sorted vector: the model and the invariants of its own tests.
#![no_main]

#[allow(dead_code, unused_imports)] // The crate uses more of it.
#[path = "../../src/timers/mod.rs"]
mod timers;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|ops: Vec<(timers::Op, bool)>| timers::run(&ops));
