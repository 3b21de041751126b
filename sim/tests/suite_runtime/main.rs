//! The crate's own tests of the runtime, each on a simulated host, in virtual time, but for `REAL`
//! (and for `builder`, which asks for features of the crate's own build).
//! How many, and how much time: `cargo test -p selkie-sim --test suite_runtime -- --nocapture`.
#![allow(dead_code, unsafe_code, unexpected_cfgs, unused_imports)]

selkie_sim::interpose!();

#[path = "../util/alone.rs"]
mod alone;

#[path = "../../../tests/util/backends.rs"]
mod backends;
#[path = "../../../tests/util/child.rs"]
mod child;
#[path = "../../../tests/util/cpu_time.rs"]
mod cpu_time;
#[path = "../../../tests/util/liar/mod.rs"]
mod liar_of_the_system;
#[path = "../../../tests/util/runtime.rs"]
mod util;

use crate::alone::liar;

/// Those that are not simulated, by the beginnings of their names, and why.
const REAL: &[(&str, &str)] = &[
    ("alarm::", TIMER_FD),
    ("descriptor::a_task_spawned_by_a_remote_makes_it_readable", THREADS),
    ("descriptor::a_wake_from_another_thread_makes_it_readable", THREADS),
    ("descriptor::after_a_panic_wakes_of_all_kinds_still_make_it_readable", THREADS),
    ("descriptor::no_wake_is_lost_between_the_turns_of_a_foreign_loop", THREADS),
    ("fairness::a_flood_of_notifications_leaves_a_timer_and_an_echo_served", THREADS),
    ("fairness::a_flood_of_spawns_from_other_threads_leaves_a_timer_and_an_echo_served", THREADS),
    ("frames::a_frame_ends_no_sooner_because_of_other_threads_and_runs_what_they_send", THREADS),
    ("loops::a_runtime_can_run_inside_another_one_three_deep", TIMER_FD),
    ("loops::a_runtime_inside_another_one_hears_of_other_threads", THREADS),
    ("loops::no_wake_is_lost_by_a_runtime_inside_another_one", THREADS),
    ("loops::what_other_threads_spawn_reaches_a_plain_poll_loop", THREADS),
    ("loops::with_a_timer_descriptor_a_selector_needs_no_timeout_to_drive_a_runtime", TIMER_FD),
    ("panics::a_panic_left_by_another_thread_ends_the_sleep_of_the_loop", THREADS),
    ("panics::a_panic_left_while_the_loop_falls_asleep_is_not_overslept", THREADS),
    ("threads::", THREADS),
    ("turns::a_notification_ends_a_turn_that_waits_for_ever", THREADS),
    ("turns::a_notification_ends_a_wait_of_block_on_but_not_the_block_on", THREADS),
    ("turns::a_turn_that_waits_for_ever_ends_with_an_event", THREADS),
    ("wakes::no_wake_is_lost_amid_a_flood_of_them", THREADS),
    ("wakes::no_wake_is_lost_when_the_loop_falls_asleep", THREADS),
    ("wakes::no_wake_of_the_block_on_itself_is_lost_when_the_loop_falls_asleep", THREADS),
];

const THREADS: &str = "other threads notify it, for which a virtual clock does not wait";
const TIMER_FD: &str = "a timerfd(2) counts real time";

#[path = "../../../tests/runtime/alarm.rs"]
mod alarm;
#[path = "../../../tests/runtime/budget.rs"]
mod budget;
#[path = "../../../tests/runtime/contained.rs"]
mod contained;
#[path = "../../../tests/runtime/descriptor.rs"]
mod descriptor;
#[path = "../../../tests/runtime/driver.rs"]
mod driver;
#[path = "../../../tests/runtime/endings.rs"]
mod endings;
#[path = "../../../tests/runtime/fairness.rs"]
mod fairness;
#[path = "../../../tests/runtime/frames.rs"]
mod frames;
#[path = "../../../tests/runtime/loops.rs"]
mod loops;
#[path = "../../../tests/runtime/nesting.rs"]
mod nesting;
#[path = "../../../tests/runtime/panics.rs"]
mod panics;
#[path = "../../../tests/runtime/scenarios.rs"]
mod scenarios;
#[path = "../../../tests/runtime/seen.rs"]
mod seen;
#[path = "../../../tests/runtime/tasks.rs"]
mod tasks;
#[path = "../../../tests/runtime/threads.rs"]
mod threads;
#[path = "../../../tests/runtime/turns.rs"]
mod turns;
#[path = "../../../tests/runtime/wakers.rs"]
mod wakers;
#[path = "../../../tests/runtime/wakes.rs"]
mod wakes;
