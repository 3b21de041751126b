//! All four back ends do the same: random sequences of operations run on one world of sources
//! for each of them, and what they report is compared. What is *not* the same is listed here.
//!
//! A world is a selector and its own channels (Unix stream pairs, loopback TCP pairs, pipes, and
//! duplicates of their ends). An operation is done in every world, the kernel settles (see
//! `Plumber::settle`), and the worlds must then be in the same state: same results of the calls,
//! same answers of poll(2).
//!
//! # What is compared after each select
//! With the oracle, which is poll(2) by the test itself, asked for everything and masked by the
//! interest (`compare::promised`); the report must be this exactly, nothing more, nothing less:
//! - **epoll, poll**: all bits. READ for `IN`, `RDHUP`, `HUP`, `ERR`; WRITE for `OUT`, `HUP`,
//!   `ERR`; PRIORITY for `PRI`; READ_CLOSED for `HUP`, and for `RDHUP` if READ is asked for;
//!   WRITE_CLOSED for `HUP`; ERROR for `ERR`.
//! - **polling**: the same but for READ_CLOSED, which is for `HUP` only: no half-close.
//! - **select**: READ, WRITE, PRIORITY only, and a source with none of these is not reported.
//!   select(2) has no `HUP` among the conditions of writing, so WRITE is for `OUT` and `ERR`.
//!
//! With each other, pair by pair, for the sources that all watch in the same way: the same bits,
//! less those that one of the two lacks.
//!
//! By level a source is reported at every select; as a oneshot once until it is modified. By
//! edge, which poll and select refuse, it must be reported when a bit has come up since the last
//! select or it was registered or modified since; it may be reported, with the bits of the
//! moment, whenever it is ready; it is compared with the oracle alone.
//!
//! With room for one event in a select, all that is due must come within a few turns.
//!
//! After every operation: the map is what was registered, sources and data come back, keys that
//! are gone are refused, refusals have their kind. After every select: no key that is not
//! registered, none twice, no oneshot that is spent; and where nothing is reported, the
//! selector's own descriptor comes to rest, so that nothing spins.
//!
//! # Closed behind the selector's back
//! A descriptor that is closed while it is registered is reported once by poll and select, with
//! ERROR. On epoll and polling it is silent if that was the last descriptor of the file; else
//! epoll may go on reporting it, polling may do so once. A number that another file has taken
//! since is promised nothing until it is unregistered. In all these cases everybody else is
//! reported as ever, the source comes back, and what is registered later is in order.
//!
//! # What is not covered
//! A TCP connection whose buffers are full: how much they take differs from pair to pair. WRITE
//! that is not ready comes from Unix sockets and pipes.
//!
//! `PROPTEST_CASES=20000 cargo test --test differential` runs that many sequences; they take
//! their time, as each step waits for the kernel. A sequence that fails is shrunk, printed step
//! by step, and its seed kept in `tests/proptest-regressions/`.

mod acts;
mod channel;
mod compare;
mod found;
#[path = "../util/liar/mod.rs"]
mod liar;
mod ops;
mod run;
mod walk;
mod world;

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proptest::prelude::*;
use proptest::test_runner::{
    Config, FileFailurePersistence, TestCaseResult, TestError, TestRunner,
};

use channel::Plumber;
use run::{Tally, run};

/// Sequences in a plain run: about six seconds of a debug build.
const SEQUENCES: u32 = 1200;

/// Walks in a plain run: about a second.
const WALKS: u32 = 1000;

/// Held by each test: they close descriptors by number, so nobody else may open any.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config(cases: u32, regressions: &'static str) -> Config {
    let config = Config::default();
    Config {
        // The default has PROPTEST_CASES in it.
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { config.cases } else { cases },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        max_shrink_iters: 20_000,
        max_shrink_time: 60_000,
        ..config
    }
}

#[test]
fn all_back_ends_report_the_same() {
    let _alone = alone();
    let plumber = Plumber::new().expect("there is loopback and a processor to stay on");
    let tally = Tally::default();
    let regressions = "tests/proptest-regressions/differential.txt";
    check(config(SEQUENCES, regressions), ops::sequences(), |sequence| {
        run(&sequence, &plumber, &tally)
    });
    println!("{tally:?}");
}

#[test]
fn a_walked_batch_delivers_what_stays_registered_and_nothing_else() {
    let _alone = alone();
    let regressions = "tests/proptest-regressions/walk.txt";
    check(config(WALKS, regressions), walk::plans(), |plan| walk::run(&plan));
}

/// Runs a property, and panics with the smallest input that breaks it.
fn check<S>(config: Config, inputs: S, property: impl Fn(S::Value) -> TestCaseResult)
where
    S: Strategy<Value: Display>,
{
    match TestRunner::new(config).run(&inputs, property) {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => panic!("{why}\n{input}"),
        Err(abort) => panic!("{abort}"),
    }
}
