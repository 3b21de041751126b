//! The crate's own tests of async I/O and of time, inside of a simulated host: those of its files
//! that need no other process. Those that open sockets of the real network are left out. Their
//! waiting takes no time there.
#![allow(dead_code, unsafe_code, unexpected_cfgs, unused_imports)]

#[path = "../../../tests/async_io/budget.rs"]
mod budget;
#[path = "../../../tests/async_io/datagram.rs"]
mod datagram;
#[path = "../../../tests/async_io/interval.rs"]
mod interval;
#[path = "../../../tests/async_io/timeout.rs"]
mod timeout;
#[path = "../../../tests/async_io/timer.rs"]
mod timer;
#[path = "../../../tests/async_io/unix.rs"]
mod unix;

#[path = "../../../tests/util/child.rs"]
mod child;
#[path = "../../../tests/util/liar/mod.rs"]
mod liar;
#[path = "../../../tests/util/async_io.rs"]
mod real;

selkie_sim::interpose!();

/// What others need of a file that is left out.
mod connect {
    pub fn socket_path(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir();
        folder.join(format!("selkie-sim-{}-{name}", std::process::id()))
    }
}

/// As the crate's own, but for where a test runs.
mod util {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::Mutex;
    use std::time::Duration;

    pub use crate::real::*;

    #[track_caller]
    pub fn run(test: impl AsyncFnOnce() + Send + 'static) {
        let test = Mutex::new(Some(test));
        let mut sim = selkie_sim::Sim::new(1);
        let host = sim.host("host", move || {
            let test = test.lock().unwrap().take().expect("it runs once");
            async move { test().await }
        });
        let run = || sim.run_until_ended(host, Duration::from_secs(3600));
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(has_ended) => assert!(has_ended, "it waits for ever"),
            Err(payload) => match payload.downcast_ref::<String>() {
                Some(text) if text.contains("is a socket of the real network") => {
                    println!("left out: it needs the real network");
                }
                _ => resume_unwind(payload),
            },
        }
    }
}
