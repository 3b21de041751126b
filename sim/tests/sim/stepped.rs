//! Hosts on the thread of the test.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use selkie_sim::Sim;

use crate::util::{echo_client, echo_server};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn stepped_hosts_talk_with_each_other_and_with_threads() {
    let mut sim = Sim::new(1);
    sim.host_stepped("server", echo_server);
    let mut clients = vec![];
    for client in 0..3 {
        let name = format!("stepped{client}");
        let ping = || echo_client("server", 1024, 20, Duration::from_millis(5));
        clients.push(sim.host_stepped(name.as_str(), ping));
        clients.push(sim.host(format!("thread{client}").as_str(), ping));
    }
    sim.run_for(SECOND);
    assert!(clients.into_iter().all(|client| sim.has_ended(client)));
}

#[test]
fn a_stepped_host_can_be_killed_and_started_again() {
    struct Counts(Rc<Cell<u32>>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let (starts, drops) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (started, dropped) = (starts.clone(), drops.clone());
    let mut sim = Sim::new(1);
    let host = sim.host_stepped("host", move || {
        started.set(started.get() + 1);
        let counts = Counts(dropped.clone());
        async move {
            let _counts = counts;
            selkie::sleep(100 * SECOND).await;
        }
    });
    sim.run_for(SECOND);
    assert_eq!((starts.get(), drops.get()), (1, 0));
    sim.kill(host);
    assert_eq!((starts.get(), drops.get()), (1, 1));
    sim.start(host);
    sim.run_for(SECOND);
    assert_eq!((starts.get(), drops.get()), (2, 1));
    drop(sim);
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_stepped_host_that_panics_fails_the_run() {
    let mut sim = Sim::new(1);
    sim.host_stepped("host", || async { assert_eq!(1, 2, "as was to be expected") });
    let payload = catch_unwind(AssertUnwindSafe(|| sim.run_for(SECOND))).unwrap_err();
    let text = payload.downcast_ref::<String>().unwrap();
    assert!(text.contains("host host has failed") && text.contains("as was"), "{text}");
}

#[test]
fn a_stepped_host_that_only_yields_does_not_stop_the_clock() {
    let mut sim = Sim::new(1);
    let start = std::time::Instant::now() - SECOND;
    sim.host_stepped("host", move || async move {
        while selkie::time::now() > start {
            selkie::yield_now().await;
        }
    });
    sim.run_for(SECOND / 100);
    assert_eq!(sim.now(), SECOND / 100);
}
