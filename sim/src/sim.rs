//! A simulation, as a test holds it.

mod driver;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::driver::Looks;
pub(crate) use self::driver::text_of;
use crate::attempt::OnPlan;
use crate::change::Change;
use crate::draw::LeftIn;
use crate::exit::{Turns, watch_exits};
use crate::fault::Fault;
use crate::host::{Ended, Host as HostState, Main};
use crate::link::Link;
use crate::place::{HostResult, Place, given};
use crate::rng::{mix, nanos};
use crate::shared::{Shared, takes_part};
use crate::state::Index;
use crate::stepped::Stepped;
use crate::trace::Trace;

/// A simulated host: its place in its simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    pub(crate) index: Index,
    ip: IpAddr,
}

impl Host {
    pub(crate) const fn at(index: Index, ip: IpAddr) -> Self {
        Self { index, ip }
    }

    /// Its address.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.ip
    }
}

/// Several hosts, the network between them, and one clock.
///
/// ```
/// use std::net::{TcpListener, TcpStream};
/// use std::time::Duration;
///
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use selkie::Async;
/// use selkie_sim::Sim;
///
/// let mut sim = Sim::new(7);
/// sim.host("server", || async {
///     let listener = Async::<TcpListener>::bind("0.0.0.0:80")?;
///     let (mut stream, _peer) = listener.accept().await?;
///     selkie::sleep(Duration::from_secs(3600)).await;
///     stream.write_all(b"hello").await
/// });
/// let client = sim.host("client", || async {
///     let mut stream = Async::<TcpStream>::connect("server:80").await?;
///     let mut hello = String::new();
///     stream.read_to_string(&mut hello).await?;
///     assert_eq!(hello, "hello");
///     std::io::Result::Ok(())
/// });
/// // An hour, which takes no time.
/// assert!(sim.run_until_ended(client, Duration::from_secs(4000)));
/// ```
pub struct Sim {
    pub(crate) shared: Arc<Shared>,
    seed: u64,
    watchdog: Duration,
    pub(crate) turns: Arc<Turns>,
    /// A host's thread did not come back.
    is_stuck: bool,
    pub(crate) left_in: LeftIn,
    pub(crate) on_plan: Option<OnPlan>,
    /// Hosts that the driver runs itself.
    pub(crate) stepped: BTreeMap<Index, Stepped>,
    /// How many faults were drawn or left out, and how often it was asked for some.
    numbered: usize,
    draws: u64,
}

/// How long a host may run in real time before it is said to block: a step takes microseconds.
const WATCHDOG: Duration = Duration::from_secs(20);

impl Sim {
    /// A simulation that depends on this seed, and on nothing else.
    ///
    /// A connection needs four descriptors: this raises the process's limit as far as it may.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_timing(seed, 0)
    }

    /// With the faults of the seed, and other latencies, turns and so on.
    pub(crate) fn with_timing(seed: u64, timing: u64) -> Self {
        let limit = getrlimit(Resource::Nofile);
        // It stays as it was, if not; then connections fail with EMFILE.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        takes_part();
        watch_exits();
        let shared = Shared::new(if timing == 0 { seed } else { mix(seed, timing) });
        shared.driver.sit();
        let turns = Turns::new(Arc::clone(&shared.flags), WATCHDOG);
        Self {
            shared,
            turns,
            seed,
            watchdog: WATCHDOG,
            is_stuck: false,
            left_in: LeftIn::All,
            on_plan: None,
            stepped: BTreeMap::new(),
            numbered: 0,
            draws: 0,
        }
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Adds a host that runs an async function. It begins with the next `run_…`, and anew at each
    /// restart.
    ///
    /// It is a thread with a runtime of its own, that of [`selkie::block_on`].
    ///
    /// # Panics
    /// If another host has the name or the address; if the system has no descriptor to spare.
    #[track_caller]
    pub fn host<F, Fut>(&mut self, place: impl Place, main: F) -> Host
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HostResult> + 'static,
    {
        self.host_blocking(place, move || selkie::block_on(main()))
    }

    /// Adds a host that runs a usual `main`, with an explicit `select()` loop or a
    /// [`block_on`](selkie::block_on) of its own.
    ///
    /// # Panics
    /// As [`host`](Self::host).
    #[track_caller]
    pub fn host_blocking<F, R>(&mut self, place: impl Place, main: F) -> Host
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: HostResult,
    {
        self.add(place, Arc::new(move || main().into_result()))
    }

    #[track_caller]
    pub(crate) fn add(&mut self, place: impl Place, main: Main) -> Host {
        let (name, ip) = place.name_and_address();
        let mut state = self.shared.lock();
        let ip = ip.unwrap_or_else(|| {
            let mut candidates = (0..).map(given);
            candidates.find(|ip| !state.by_ip.contains_key(ip)).expect("16 million addresses")
        });
        let name = name.unwrap_or_else(|| ip.to_string());
        let index = state.hosts.len();
        if let Some(other) = state.by_ip.get(&ip) {
            let other = state.hosts[*other].name.clone();
            drop(state);
            panic!("two hosts cannot have the address {ip}, which is that of {other}");
        }
        if state.names.contains_key(&name) {
            drop(state);
            panic!("two hosts cannot have the name {name}");
        }
        let host = HostState::new(state.seed, name.clone(), ip, main);
        let host = host.unwrap_or_else(|error| panic!("no descriptor for host {name}: {error}"));
        state.hosts.push(host);
        state.by_ip.insert(ip, index);
        self.turns.add(&name);
        state.names.insert(name, ip);
        state.starts(index);
        Host { index, ip }
    }

    /// What is between all hosts for which [`link`](Self::link) says nothing else.
    pub fn links(&mut self, link: Link) {
        self.shared.lock().usual_link = link;
    }

    /// What is between two hosts, both ways.
    pub fn link(&mut self, one: Host, other: Host, link: Link) {
        self.link_one_way(one, other, link);
        self.link_one_way(other, one, link);
    }

    /// What is on the way from one host to another.
    pub fn link_one_way(&mut self, from: Host, to: Host, link: Link) {
        self.shared.lock().set_link(from.index, to.index, link);
    }

    /// How long TCP tries to send on what does not get through, before it gives the connection up:
    /// usually 15 minutes, as Linux.
    pub fn tcp_timeout(&mut self, time: Duration) {
        self.shared.lock().tcp_timeout = nanos(time);
    }

    /// How long a host may run, in real time, until it is said to block. Usually 20 s.
    ///
    /// One of [`host_stepped`](Self::host_stepped) that does is said so, and ends the process: nobody
    /// else could run on its thread.
    pub fn watchdog(&mut self, time: Duration) {
        self.watchdog = time;
        self.turns.set_limit(time);
    }

    /// Lets threads that the simulation does not know notify hosts. Then nothing is promised: the
    /// clock does not wait for them.
    pub fn allow_threads(&mut self) {
        self.shared.lock().allows_threads = true;
    }

    /// How much virtual time has passed.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.shared.lock().now)
    }

    /// A number that tells this run from all that differ in a step.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.shared.lock().trace.hash()
    }

    /// Keeps the steps from now on, for [`trace`](Self::trace).
    pub fn keep_trace(&mut self) {
        self.shared.lock().trace.keep();
    }

    /// What has happened so far.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.shared.lock().trace.clone()
    }

    /// True if the host has ended, by itself or otherwise, and was not started again.
    #[must_use]
    pub fn has_ended(&self, host: Host) -> bool {
        self.shared.lock().hosts[host.index].ended.is_some()
    }

    /// Runs all hosts for so much virtual time.
    ///
    /// # Panics
    /// If a host panics, or returns an error, or blocks in real time.
    #[track_caller]
    pub fn run_for(&mut self, time: Duration) {
        self.run_to(time, Looks::AtEnds, None);
    }

    /// Runs all hosts until `condition` holds, which is looked at after each step, and at most for
    /// `limit` of virtual time. True if it holds.
    ///
    /// # Panics
    /// As [`run_for`](Self::run_for).
    #[track_caller]
    pub fn run_until(&mut self, limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
        self.run_to(limit, Looks::AfterEachStep, Some(&mut |_| condition()))
    }

    /// Runs all hosts until the program of this one has ended by itself, and at most for `limit` of
    /// virtual time. True if it has.
    ///
    /// # Panics
    /// As [`run_for`](Self::run_for).
    #[track_caller]
    pub fn run_until_ended(&mut self, host: Host, limit: Duration) -> bool {
        let has_ended =
            |shared: &Shared| shared.lock().hosts[host.index].ended == Some(Ended::ByItself);
        self.run_to(limit, Looks::AtEnds, Some(&mut { has_ended }))
    }

    /// Of the faults that are planned and drawn from now on, only those with these numbers happen.
    pub fn only_faults(&mut self, numbers: impl IntoIterator<Item = usize>) {
        self.left_in = LeftIn::Only(numbers.into_iter().collect());
    }

    /// How often faults were drawn before.
    pub(crate) fn drawn_before(&mut self) -> u64 {
        self.draws += 1;
        self.draws - 1
    }

    /// Gives a fault its number, and plans it, if it is not left out.
    pub(crate) fn plan_unless_left_out(&mut self, fault: Fault) {
        let number = self.numbered;
        self.numbered += 1;
        let is_in = match &self.left_in {
            LeftIn::All => true,
            LeftIn::Only(numbers) => numbers.contains(&number),
        };
        if is_in {
            self.plan_as(number, fault);
        }
    }

    /// Makes a change at once.
    #[track_caller]
    pub(crate) fn make(&mut self, change: Change) {
        self.shared.lock().plan_change(change);
        self.run_for(Duration::ZERO);
    }
}
