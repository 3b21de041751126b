//! What a select costs in the steady state, counted by strace: one system call on epoll, with
//! and without a timeout, and after a notification; the other back ends beside it.
//!
//! Where strace is missing, the test says so and is skipped; with `CI=true` that is a failure.

#![cfg(target_os = "linux")]

#[path = "util/liar/mod.rs"]
mod liar;
mod util;

use std::collections::BTreeMap;
use std::env;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::fs::{Access, access};
use selkie::selector::{Backend, BackendKind};
use selkie::{Events, Interest, Notifier, Selector};

use util::{child, ready_unix_pair, unix_pair};

/// Selects between the two marks of each scenario.
const SELECTS: usize = 1_000;

/// Paths that do not exist: looking for them is the mark in the trace.
const BEGIN: &str = "/selkie-steady-state-begins";
const END: &str = "/selkie-steady-state-ends";

/// What one select is made to do. Together they are all ways in which one can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scenario {
    ReadyForEver,
    ReadyWithTimeout,
    ElapsesWholeMilliseconds,
    ElapsesMicroseconds,
    PollsNothing,
    Notified,
    NotifiedManyTimes,
}

impl Scenario {
    const ALL: [Self; 7] = [
        Self::ReadyForEver,
        Self::ReadyWithTimeout,
        Self::ElapsesWholeMilliseconds,
        Self::ElapsesMicroseconds,
        Self::PollsNothing,
        Self::Notified,
        Self::NotifiedManyTimes,
    ];

    fn is_ready(self) -> bool {
        matches!(self, Self::ReadyForEver | Self::ReadyWithTimeout)
    }

    fn timeout(self) -> Option<Duration> {
        match self {
            Self::ReadyForEver | Self::Notified | Self::NotifiedManyTimes => None,
            Self::ReadyWithTimeout => Some(Duration::from_micros(1_500)),
            Self::ElapsesWholeMilliseconds => Some(Duration::from_millis(1)),
            Self::ElapsesMicroseconds => Some(Duration::from_micros(50)),
            Self::PollsNothing => Some(Duration::ZERO),
        }
    }

    /// The first of them is one `write`, as the others find it done.
    fn notify(self, notifier: &Notifier) {
        let times = match self {
            Self::Notified => 1,
            Self::NotifiedManyTimes => 5,
            _ => 0,
        };
        (0..times).for_each(|_| notifier.notify().unwrap());
    }

    /// System calls of one select with all that the scenario does around it.
    fn calls_allowed(self, kind: BackendKind) -> f64 {
        let is_notified = matches!(self, Self::Notified | Self::NotifiedManyTimes);
        match kind {
            // The `write` of the notifier is not the select's.
            BackendKind::Epoll => 1.0 + if is_notified { 1.0 } else { 0.0 },
            // By level, so the notification has to be read: one more.
            BackendKind::Poll | BackendKind::Select => 1.0 + if is_notified { 2.0 } else { 0.0 },
            // Another crate's, so at most: five a wait, and one to arm each event again.
            _ => 5.0 + if is_notified || self.is_ready() { 1.0 } else { 0.0 },
        }
    }
}

/// The child's part: one selector, and a thousand selects for each scenario between two marks.
fn select_under_trace(kind: BackendKind) {
    let mut selector = Selector::with_backend(kind.open().unwrap());
    let mut events = Events::new();
    let pairs = [unix_pair(), ready_unix_pair()];
    let [(idle, _idle_peer), (ready, _peer)] = pairs;
    selector.register(idle, Interest::READ, ()).unwrap();
    let mut ready = Some(ready);
    for scenario in Scenario::ALL {
        let key = ready
            .take_if(|_| scenario.is_ready())
            .map(|source| selector.register(source, Interest::READ, ()).unwrap());
        // The first select in each may make room for itself, or learn what the kernel lacks.
        select_once(&mut selector, &mut events, scenario);
        let _ = access(BEGIN, Access::EXISTS);
        for _ in 0..SELECTS {
            select_once(&mut selector, &mut events, scenario);
        }
        let _ = access(END, Access::EXISTS);
        if let Some(key) = key {
            ready = Some(selector.unregister(key).unwrap().source);
        }
    }
}

fn select_once<B: Backend>(
    selector: &mut Selector<UnixStream, (), B>,
    events: &mut Events,
    scenario: Scenario,
) {
    scenario.notify(&selector.notifier());
    let found = selector.select(events, scenario.timeout()).unwrap().count();
    assert_eq!(found, usize::from(scenario.is_ready()));
}

/// The names of the system calls between the marks, counted, one map for each scenario.
fn counts(trace: &str) -> Vec<BTreeMap<&str, usize>> {
    let mut counted = Vec::new();
    let mut current: Option<(&str, BTreeMap<&str, usize>)> = None;
    // "1234 epoll_wait(3, ..." by -f.
    for (thread, call) in trace.lines().filter_map(|line| line.split_once(' ')) {
        let call = call.trim_start();
        if call.contains(BEGIN) {
            current = Some((thread, BTreeMap::new()));
        } else if call.contains(END) {
            counted.extend(current.take().map(|(_, counts)| counts));
        } else if let (Some((selecting, counts)), Some((name, _))) =
            (&mut current, call.split_once('('))
            && *selecting == thread
            // "<... resumed>" is the second half of a call that another thread cut in two.
            && !call.starts_with('<')
        {
            *counts.entry(name).or_default() += 1;
        }
    }
    counted
}

/// Runs the child under strace and returns the trace, or why there is none.
fn trace(kind: BackendKind, test: &str) -> Result<String, String> {
    let file = env::temp_dir().join(format!("selkie-{}-{kind}.trace", std::process::id()));
    let untraced = child::command(test, kind.name());
    let mut strace = Command::new("strace");
    strace.args(["-f", "-e", "trace=all", "-e", "signal=none", "-o"]).arg(&file);
    strace.arg(untraced.get_program()).args(untraced.get_args());
    for (name, value) in untraced.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    let Output { status, stdout, stderr } =
        strace.output().map_err(|error| format!("strace cannot be started: {error}"))?;
    let trace = std::fs::read_to_string(&file).unwrap_or_default();
    let _ = std::fs::remove_file(&file);
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if trace.is_empty() {
        return Err(format!("strace is not allowed to trace: {said}"));
    }
    assert!(status.success(), "the traced child failed: {said}");
    Ok(trace)
}

/// Runs as the child, or counts; each back end by its own test.
fn expect_steady_state(kind: BackendKind, test: &str) {
    if child::role().is_some() {
        return select_under_trace(kind);
    }
    let trace = match trace(kind, test) {
        Ok(trace) => trace,
        Err(reason) => {
            assert_ne!(env::var("CI").as_deref(), Ok("true"), "in CI this is a failure: {reason}");
            println!("skipped: {reason}");
            return;
        }
    };
    let counts = counts(&trace);
    assert_eq!(counts.len(), Scenario::ALL.len(), "marks are missing in the trace");
    let mut failures = Vec::new();
    for (scenario, counts) in Scenario::ALL.into_iter().zip(counts) {
        let calls = counts.values().sum::<usize>() as f64 / SELECTS as f64;
        println!("{kind} {scenario:?}: {calls:.3} calls a select, in {SELECTS}: {counts:?}");
        let allowed = scenario.calls_allowed(kind);
        if calls > allowed || (calls < allowed && kind.name() != "polling") {
            failures.push(format!("{scenario:?}: {calls}, not {allowed}"));
        }
    }
    assert!(failures.is_empty(), "system calls per select on {kind}: {failures:#?}");
}

#[test]
fn one_select_is_one_system_call_on_epoll() {
    expect_steady_state(BackendKind::Epoll, "one_select_is_one_system_call_on_epoll");
}

#[test]
fn one_select_is_one_system_call_on_poll() {
    expect_steady_state(BackendKind::Poll, "one_select_is_one_system_call_on_poll");
}

#[test]
fn one_select_is_one_system_call_on_select() {
    expect_steady_state(BackendKind::Select, "one_select_is_one_system_call_on_select");
}

#[cfg(all(feature = "polling", not(polling_test_poll_backend)))]
#[test]
fn one_select_is_five_system_calls_on_polling() {
    expect_steady_state(BackendKind::Polling, "one_select_is_five_system_calls_on_polling");
}
