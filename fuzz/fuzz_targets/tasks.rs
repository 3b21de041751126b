//! Programs of tasks against the model of `tests/tasks_model`, whose header says what holds.
#![no_main]

#[path = "../../tests/tasks_model/actor.rs"]
mod actor;
#[path = "../../tests/tasks_model/acts.rs"]
mod acts;
#[path = "../../tests/tasks_model/program.rs"]
mod program;
#[path = "../../tests/tasks_model/record.rs"]
mod record;
#[path = "../../tests/tasks_model/world.rs"]
mod world;

use std::panic;
use std::process;

use libfuzzer_sys::fuzz_target;

use program::Program;

fuzz_target!(
    // Tasks that panic are part of the program, and nothing to abort for.
    init: panic::set_hook(Box::new(|_| ())),
    |bytes: &[u8]| {
        let program = Program::from_bytes(bytes);
        let text = program.to_string();
        if let Err(why) = world::run(program) {
            eprintln!("{text}\n{why}");
            process::abort();
        }
    }
);
