//! Whoever never waits lets the others go on all the same. Shown by the order of events, not by
//! the time they take.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::rc::Rc;

use selkie::{Builder, spawn, yield_now};

use crate::util::{build, run, run_on};

#[test]
fn a_block_on_that_yields_lets_every_ready_task_go_first() {
    run(async {
        let polled = Rc::new(Cell::new(0));
        for round in 1..4 {
            for _ in 0..10 {
                let polled = Rc::clone(&polled);
                spawn(async move { polled.set(polled.get() + 1) }).detach();
            }
            yield_now().await;
            assert_eq!(polled.get(), 10 * round);
        }
    });
}

#[test]
fn a_block_on_that_always_yields_leaves_a_poll_to_the_tasks_even_if_turns_have_but_one() {
    let runtime = build(Builder::new().polls_per_turn(NonZeroU32::MIN));
    run_on(&runtime, async {
        let task = spawn(async { yield_now().await });
        while !task.is_finished() {
            yield_now().await;
        }
    });
}
