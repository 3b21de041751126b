//! Load and resources, bounded in count and time, on each of the four back ends. All of it, with
//! its figures, in about two minutes:
//!
//! ```sh
//! cargo test --release --test load -- --ignored --test-threads=1 --nocapture
//! ```
//!
//! One back end with `epoll::` (or `poll::`, `select::`, `polling::`) before `--ignored`; that of
//! epoll takes half a minute. `SELKIE_SOAK_SECONDS` says how long the soak test goes on, on all
//! back ends together (10 if it is not set).
//!
//! Every test runs in a process of its own, since it changes limits or counts descriptors and
//! memory, and is killed if it does not end. Its figures are printed behind a `>`. None of them
//! needs a right that an ordinary user has not; with `CAP_NET_ADMIN` one goes a step further.
//!
//! What is not here: SIGPIPE is in `tests/async_io/sigpipe.rs`.

/// Makes an ignored test of each function, for each back end, or for those that are named; see
/// [`harness::alone`].
macro_rules! loads {
    ($($test:ident),* $(,)?) => {
        loads! { on [epoll poll select polling] $($test),* }
    };
    (on [$($backend:ident)*] $($test:ident),* $(,)?) => {
        loads! { @[$($test)*] $($backend)* }
    };
    (@$tests:tt $($backend:ident)*) => {
        $(loads! { @module $tests $backend })*
    };
    (@module [$($test:ident)*] $backend:ident) => {
        mod $backend {
            $(
                #[test]
                #[ignore = "a load: see the header of tests/load/main.rs"]
                fn $test() {
                    let (module, backend) = (module_path!(), stringify!($backend));
                    crate::harness::alone(module, stringify!($test), backend, super::$test);
                }
            )*
        }
    };
}

mod connections;
mod exhaustion;
mod fork;
mod harness;
mod late;
mod peer;
mod resets;
mod silent;
mod slow;
mod soak;
mod stopped;
mod succession;
mod timers;
mod wakes;

#[path = "../util/backends.rs"]
mod backends;
#[path = "../util/child.rs"]
mod child;
#[path = "../util/liar/mod.rs"]
mod liar;
#[path = "../util/async_io.rs"]
#[allow(dead_code)] // Not all of it is needed for loads.
mod util;
