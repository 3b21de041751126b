//! The driver: runs the hosts, and waits for the baton.
//! Invariant: while its thread has the baton, no host runs.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use selkie::world::install;

use super::Sim;
use crate::backend::Ending;
use crate::host::{Ended, HostShared, Main, Seconds, Status};
use crate::interposed::set_host;
use crate::marks;
use crate::rng::nanos;
use crate::shared::{Shared, takes_part, without_forks};
use crate::state::{Failure, Index, Next};
use crate::world::{Form, HostWorld};

/// Virtual time, in nanoseconds, that is run in one go: others who wait to start a process may do so
/// in between.
const SLICE: u64 = 100_000_000;

/// When the driver looks at what it runs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looks {
    AfterEachStep,
    /// The end of a host comes to the driver in any case.
    AtEnds,
}

impl Sim {
    #[track_caller]
    pub(super) fn run_to(
        &mut self,
        time: Duration,
        looks: Looks,
        condition: Option<&mut dyn FnMut(&Shared) -> bool>,
    ) -> bool {
        let holds = self.drive(time, looks, condition);
        let failure = self.shared.lock().failure.clone();
        if let Some(Failure(text)) = failure {
            panic!("{text} (seed {})", self.seed);
        }
        holds
    }

    /// Runs hosts until the time is over, the condition holds, or the run has failed.
    fn drive(
        &mut self,
        time: Duration,
        looks: Looks,
        mut condition: Option<&mut dyn FnMut(&Shared) -> bool>,
    ) -> bool {
        let shared = Arc::clone(&self.shared);
        shared.driver.sit();
        let mut state = shared.lock();
        let end = state.now.saturating_add(nanos(time));
        state.driver_looks = looks == Looks::AfterEachStep;
        drop(state);
        loop {
            let mut state = shared.lock();
            // Where nothing happens for a year, that takes one slice.
            let next = state.next_at().unwrap_or(end).max(state.now);
            state.limit = end.min(next.saturating_add(SLICE));
            let is_last = state.limit == end;
            drop(state);
            let _no_fork = without_forks();
            if self.drive_slice(&shared, &mut condition) {
                return true;
            }
            if is_last || self.is_stuck || shared.lock().failure.is_some() {
                return false;
            }
        }
    }

    /// Runs hosts until nothing is left to do in this slice.
    fn drive_slice(
        &mut self,
        shared: &Shared,
        condition: &mut Option<&mut dyn FnMut(&Shared) -> bool>,
    ) -> bool {
        loop {
            if condition.as_mut().is_some_and(|condition| condition(shared)) {
                return true;
            }
            let mut state = shared.lock();
            let next = match state.to_run.take() {
                Some(host) => Next::Host(host),
                None => state.go_on(),
            };
            drop(state);
            match next {
                Next::Host(host) => self.run_host(host),
                Next::Driver => return false,
            }
            if self.is_stuck {
                return false;
            }
        }
    }

    /// Gives the baton to a host, and waits until the driver has it again.
    pub(crate) fn run_host(&mut self, index: Index) {
        if self.stepped.contains_key(&index) {
            return self.step(index);
        }
        let mut state = self.shared.lock();
        let host = &mut state.hosts[index];
        let own = Arc::clone(&host.shared);
        if host.thread.is_none() {
            match self.start_thread(index, &own, Arc::clone(&host.main), &host.name) {
                Ok(thread) => host.thread = Some(thread),
                Err(error) => {
                    let text = format!("no thread for host {}: {error}", host.name);
                    state.failure = Some(Failure(text));
                    return;
                }
            }
        }
        drop(state);
        own.seat.give();
        self.wait_for_baton();
        self.bury_the_dead();
    }

    fn start_thread(
        &self,
        index: Index,
        own: &Arc<HostShared>,
        main: Main,
        name: &str,
    ) -> io::Result<thread::JoinHandle<()>> {
        let (shared, own) = (Arc::clone(&self.shared), Arc::clone(own));
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run_on_thread(&shared, index, &own, &main))
    }

    fn wait_for_baton(&mut self) {
        let steps = || self.shared.flags.steps.load(Ordering::Relaxed);
        let (mut seen, mut since) = (steps(), Instant::now());
        while !self.shared.driver.wait_for(self.watchdog) {
            if steps() != seen {
                (seen, since) = (steps(), Instant::now());
            } else if since.elapsed() >= self.watchdog {
                self.is_stuck = true;
                let mut state = self.shared.lock();
                let running = state.hosts.iter().find(|host| host.status == Status::Running);
                let name = running.map_or("?", |host| host.name.as_str());
                let text = format!(
                    "host {name} has not come back to its select() or await for {:?} of real time, \
                     at {}: it blocks, or loops without waiting. Time stands still meanwhile",
                    self.watchdog,
                    Seconds(state.now)
                );
                state.failure = Some(Failure(text));
                return;
            }
        }
    }

    /// Waits for the threads that have come to their end, and closes what they had open.
    fn bury_the_dead(&mut self) {
        loop {
            let mut state = self.shared.lock();
            let Some((index, how)) = state.ended.pop() else { return };
            let thread = state.hosts[index].thread.take();
            drop(state);
            // With it, its thread-locals are gone.
            thread.into_iter().for_each(|thread| drop(thread.join()));
            self.shared.lock().host_ended(index, how);
        }
    }
}

/// The life of a host's thread.
fn run_on_thread(shared: &Arc<Shared>, index: Index, own: &Arc<HostShared>, main: &Main) {
    takes_part();
    marks::set_current(shared.check);
    own.seat.sit();
    own.seat.wait();
    let is_ending = || own.is_ending.load(Ordering::Acquire);
    let world = HostWorld::new(Arc::clone(shared), index, Arc::clone(own), Form::Threaded);
    let result = if is_ending() {
        Err(Box::new(Ending) as _)
    } else {
        set_host(Some(Rc::clone(&world)));
        let _installed = install(world);
        catch_unwind(AssertUnwindSafe(|| main()))
    };
    set_host(None);
    let mut state = shared.lock();
    let how = match result {
        _ if is_ending() => state.hosts[index].ending.take().unwrap_or(Ended::Killed),
        Ok(Ok(())) => Ended::ByItself,
        Ok(Err(error)) => Ended::Failed(error),
        Err(payload) => Ended::Failed(format!("it panicked: {}", text_of(&*payload))),
    };
    state.ended.push((index, how));
    drop(state);
    shared.driver.give();
}

pub(crate) fn text_of(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}

impl Drop for Sim {
    /// Ends all hosts.
    fn drop(&mut self) {
        let count = self.shared.lock().hosts.len();
        self.shared.lock().failure = None;
        for index in 0..count {
            if self.is_stuck {
                return;
            }
            let is_to_run = self.shared.lock().end_host(index, Ended::Killed);
            if let Some(index) = is_to_run {
                let has_thread = self.shared.lock().hosts[index].thread.is_some();
                if has_thread || self.stepped.contains_key(&index) {
                    self.run_host(index);
                }
            }
        }
    }
}
