//! The programs of `src/bin`, as they are, on simulated hosts: what goes wrong with the network and
//! the hosts may end a connection, but never mixes up what goes over it.

mod chat;
mod http;
mod proxy;

use std::sync::Mutex;
use std::time::Duration;

use selkie_sim::{Faults, Host, Kind, Sim};

// The orders of maps are the seed's, and the clocks of the standard library the simulation's.
selkie_sim::interpose!();

const SECOND: Duration = Duration::from_secs(1);

/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(20);

/// Draws faults of these hosts, and runs until they are over. Then they go on: `count` rises by more
/// than `least` within 20 seconds.
fn goes_on_after_faults(sim: &mut Sim, hosts: &[Host], count: &Mutex<u32>, least: u32) {
    let faults = Faults::new(hosts, TROUBLE).most(12).longest(2 * SECOND);
    // Programs that run by this clock alone need no other one.
    sim.draw_faults(&faults.without(&[Kind::Skewed]));
    sim.tcp_timeout(10 * SECOND);
    sim.run_for(TROUBLE + 5 * SECOND);
    let before = *count.lock().unwrap();
    sim.run_for(20 * SECOND);
    let later = *count.lock().unwrap();
    assert!(later > before + least, "it goes on: {before} times, then {later}");
}
