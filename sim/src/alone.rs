//! A thread as the only host of a simulation: for tests that are no functions of a host.
//! Invariant: nobody else has a part in it, so the thread hands the baton to itself.

use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, MutexGuard};

use selkie::world::{Installed, install};

use crate::host::Main;
use crate::interposed::set_host;
use crate::shared::Shared;
use crate::sim::Sim;
use crate::state::{Index, Next, State};
use crate::world::{Form, HostWorld};

/// Makes this thread a simulated host, alone in its simulation, until the result is dropped: a usual
/// test of timers and of sockets on 127.0.0.1 takes no time then.
///
/// ```
/// use std::time::Duration;
///
/// let _alone = selkie_sim::alone(7);
/// let start = selkie::time::now();
/// selkie::block_on(selkie::sleep(Duration::from_secs(3600)));
/// assert_eq!((selkie::time::now() - start).as_secs(), 3600);
/// ```
///
/// A wait in which nothing can come any more panics, and so does a notification by another thread,
/// as the clock would not wait for it.
///
/// # Panics
/// If the system has no descriptor to spare.
#[must_use = "the thread is a host while this lives"]
pub fn alone(seed: u64) -> Alone {
    let mut sim = Sim::new(seed);
    let never: Main = Arc::new(|| Err("the only host is a thread already".to_owned()));
    let host = sim.add("alone", never);
    let shared = Arc::clone(&sim.shared);
    let mut state = shared.lock();
    state.is_alone = true;
    let own = Arc::clone(&state.hosts[host.index].shared);
    shared.go_alone(state);
    let world = HostWorld::new(shared, host.index, own, Form::Threaded);
    let former = set_host(Some(Rc::clone(&world)));
    Alone { _installed: install(world), former: Some(former), sim }
}

/// Keeps a thread a host; from [`alone`].
pub struct Alone {
    // The world first, and then what it is of.
    _installed: Installed,
    former: Option<Option<Rc<HostWorld>>>,
    sim: Sim,
}

impl Drop for Alone {
    fn drop(&mut self) {
        if let Some(former) = self.former.take() {
            set_host(former);
        }
    }
}

impl fmt::Debug for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alone").finish_non_exhaustive()
    }
}

impl Alone {
    /// Lets the host wait for sockets of the real network, too. Nothing is promised of those: the clock
    /// does not wait for what is on its way there.
    pub fn allow_network(&self) {
        self.sim.shared.lock().allows_network = true;
    }

    /// How much virtual time has passed.
    #[must_use]
    pub fn now(&self) -> std::time::Duration {
        self.sim.now()
    }
}

impl Shared {
    /// Lets things happen until the only host goes on.
    pub(crate) fn go_alone(&self, mut state: MutexGuard<'_, State>) -> Index {
        loop {
            let next = state.next_at();
            state.limit = next.unwrap_or(state.now);
            if let Next::Host(host) = state.go_on() {
                return host;
            }
            let failure = state.failure.clone().map(|failure| failure.0);
            if let Some(text) = failure {
                drop(state);
                panic!("{text}");
            }
            if next.is_none() {
                drop(state);
                panic!("this waits for ever: no timer is set, and nothing is on its way");
            }
        }
    }
}
