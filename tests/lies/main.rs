//! Random traffic over a back end that lies, on each back end: no byte, no wake, no task and no
//! timer is lost. See `tests/util/liar` for the lies.
//!
//! A sequence is what one seed makes: which lies are told and how the loop is set up, what
//! connects, sends, gives up, panics, sleeps and is woken from another thread. Each lie is told
//! in half of the sequences only, as a spurious event would make up for one that was lost. All
//! bytes are checked, and each sequence has to end within the deadline.
//!
//! - `SELKIE_SEEDS=1000 cargo test --test lies -- --nocapture`: that many sequences of each test,
//!   and the counts of what was done.
//! - `SELKIE_SEED=7 cargo test --test lies`: that sequence alone, as a failure's last line says.
//!   What comes first, the kernel or another thread, is not the seed's to say: it may take a few
//!   runs.

#![cfg(target_os = "linux")]

#[path = "../util/liar/mod.rs"]
mod liar;

mod giving_up;
mod in_between;
mod jobs;
mod seeds;
mod selector_loop;
mod signals;
mod streams;
mod traffic;

/// Makes a test of a scenario for each back end.
macro_rules! on_every_back_end {
    ($($test:ident: $scenario:path;)*) => {
        on_every_back_end! { @ epoll Epoll $($test $scenario)* }
        on_every_back_end! { @ poll Poll $($test $scenario)* }
        on_every_back_end! { @ select Select $($test $scenario)* }
        #[cfg(feature = "polling")]
        on_every_back_end! { @ polling Polling $($test $scenario)* }
    };
    (@ $module:ident $kind:ident $($test:ident $scenario:path)*) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    crate::seeds::run_all(selkie::selector::BackendKind::$kind, $scenario);
                }
            )*
        }
    };
}

on_every_back_end! {
    random_traffic_of_tasks_loses_nothing: crate::traffic::run;
    random_traffic_of_a_select_loop_loses_nothing: crate::selector_loop::run;
    what_comes_in_the_middle_of_an_operation_is_not_lost: crate::in_between::run;
}
