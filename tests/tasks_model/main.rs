//! Tasks against a model of them: random operations on two runtimes, by the loop, by tasks, by
//! destructors and by other threads. Spawn, wake, cancel, detach, await, panic, nest, block, drop.
//!
//! What has to hold:
//! - a future is polled on its thread, when it was woken and not otherwise, never after its end or
//!   its cancelling, and it is dropped once, on its thread;
//! - a task that was woken is polled: until then the runtime says that it has something to do, by
//!   `has_ready_tasks`, by the descriptor and by `Turn::more`;
//! - who awaits or cancels a task is told its value, its panic, or that it is gone, as it was;
//! - when a runtime is dropped, all its tasks are, whoever holds their wakers and handles;
//! - a runtime with nothing to do comes to rest.
//!
//! The same interpreter runs in `fuzz/`, and what was found there and here runs again here.
//! `PROPTEST_CASES=20000 cargo test --test tasks_model` draws that many programs.

mod actor;
mod acts;
mod program;
mod record;
mod world;

use std::fs;
use std::panic;
use std::sync::Once;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};

use program::Program;

/// Programs in a plain run: about two seconds of a debug build.
const PROGRAMS: u32 = 400;

/// The panics of the tasks here are without a message, and those that the runtime is to have are
/// caught: nothing of them is printed.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = world::text_of(info.payload());
            let is_expected = ["a turn of this runtime", "block_on was called", "the awaited task"];
            if !is_expected.iter().any(|expected| text.starts_with(expected)) {
                usual(info);
            }
        }));
    });
}

fn config() -> Config {
    let config = Config::default();
    let regressions = "tests/proptest-regressions/tasks_model.txt";
    Config {
        // The default has PROPTEST_CASES in it.
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { config.cases } else { PROGRAMS },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        max_shrink_iters: 20_000,
        max_shrink_time: 60_000,
        ..config
    }
}

/// What the fuzzer keeps: small programs that together reach all the code that it has reached.
#[test]
fn the_programs_that_the_fuzzer_keeps_go_well() {
    keep_quiet();
    // It is not in the published package.
    let Ok(kept) = fs::read_dir("fuzz/corpus/tasks") else { return };
    for file in kept {
        let path = file.expect("it can be listed").path();
        let program = Program::from_bytes(&fs::read(&path).expect("it can be read"));
        let text = program.to_string();
        world::run(program).unwrap_or_else(|why| panic!("{path:?}: {why}\n{text}"));
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_program_keeps_what_is_promised_of_tasks(bytes in vec(any::<u8>(), 100..1500)) {
        keep_quiet();
        if let Err(why) = world::run(Program::from_bytes(&bytes)) {
            let program = Program::from_bytes(&bytes);
            prop_assert!(false, "{why}\n{program}");
        }
    }
}
