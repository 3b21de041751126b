//! Signals that cannot be waited for: subject, fact and remedy, and nothing is left behind.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use selkie::signal::{
    SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGSTOP, SIGTERM, SIGUSR1, Signal, Signals, ctrl_c,
};

use crate::alone::{alone, command};
use crate::child;
use crate::send;
use crate::util::{DEADLINE, run};

#[track_caller]
fn refused(set: &[Signal]) -> String {
    let error = Signals::new(set.iter().copied()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    error.to_string()
}

#[test]
fn a_signal_that_may_not_be_caught_is_refused_with_a_remedy() {
    for (signal, name) in [(SIGKILL, "SIGKILL"), (SIGSTOP, "SIGSTOP")] {
        let told = refused(&[SIGUSR1, signal]);
        assert!(told.starts_with(&format!("{name} cannot be caught:")), "{told}");
        assert!(told.contains("SIGTERM, SIGINT"), "{told}");
    }
}

#[test]
fn a_signal_of_a_fault_is_refused_with_a_remedy() {
    for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL] {
        let told = refused(&[signal]);
        assert!(told.starts_with(&format!("{signal} cannot be awaited:")), "{told}");
        assert!(told.contains("sigaction(2)"), "{told}");
    }
}

#[test]
fn a_number_that_is_no_signal_is_refused_with_a_remedy() {
    // 32 is glibc's own.
    for number in [-1, 0, 32, 4711] {
        let told = refused(&[Signal::from(number)]);
        assert!(told.starts_with(&format!("signal {number} cannot be taken:")), "{told}");
        assert!(told.contains("kill -l"), "{told}");
    }
}

#[test]
fn an_empty_set_is_refused_with_a_remedy() {
    let told = refused(&[]);
    assert!(told.contains("no signal is named; name at least one"), "{told}");
}

#[test]
fn a_set_of_which_one_is_refused_leaves_the_others_as_they_were() {
    let test = || {
        Signals::new([SIGTERM, SIGKILL]).unwrap_err();
        // Only the system knows that this one is none, when SIGTERM is held already.
        Signals::new([SIGTERM, Signal::from(4711)]).unwrap_err();
        send(SIGTERM);
        std::thread::sleep(Duration::from_secs(60));
    };
    if child::role().is_some() {
        return test();
    }
    let output = child::end(&mut command(&test), 2 * DEADLINE);
    assert_eq!(output.status.signal(), Some(SIGTERM.number()));
}

#[test]
fn without_a_descriptor_ctrl_c_ends_with_the_error() {
    alone(|| {
        run(async || {
            let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
            setrlimit(Resource::Nofile, Rlimit { current: Some(3), maximum }).unwrap();
            let error = pin!(ctrl_c()).now_or_never().expect("at once").unwrap_err();
            setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
            assert!(error.to_string().contains("Too many open files"), "{error}");
        });
    });
}

#[test]
fn a_signal_is_shown_by_its_name() {
    assert_eq!(format!("{SIGTERM} {SIGTERM:?} {:>8}", SIGUSR1), "SIGTERM SIGTERM  SIGUSR1");
    let real_time = Signal::from(40);
    assert_eq!(format!("{real_time} {real_time:?}"), "signal 40 Signal(40)");
    assert_eq!(i32::from(real_time), 40);
}
