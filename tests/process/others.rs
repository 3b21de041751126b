//! Other code of the process that has children, too.

use std::io::ErrorKind;
use std::process::Stdio;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction, signal};
use rustix::process::{WaitOptions, wait};
use selkie::process::{Child, Command};

use crate::alone::alone;
use crate::util::run;
use crate::{assert_childless, shell};

fn cat() -> Child {
    Command::new("cat").stdin(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn is_lost(error: &std::io::Error) {
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let told = error.to_string();
    assert!(told.starts_with("the exit status of the child "), "{told}");
    assert!(told.contains("; let it wait for its own children only"), "{told}");
}

#[test]
fn a_child_that_was_started_elsewhere_is_left_to_who_started_it() {
    alone(|| {
        run(async || {
            let mut other =
                std::process::Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
            for _ in 0..10 {
                assert!(shell("exit 0").status().await.unwrap().success());
                drop(cat());
            }
            assert_eq!(other.wait().unwrap().code(), Some(7));
        });
    });
}

#[test]
fn a_status_that_other_code_took_is_an_error_and_no_hang() {
    alone(|| {
        run(async || {
            let mut taken = cat();
            taken.stdin = None;
            wait(WaitOptions::empty()).unwrap();
            is_lost(&taken.wait().await.unwrap_err());
            is_lost(&taken.try_wait().unwrap_err());
            taken.kill().unwrap();
            drop(taken);
            assert_childless();
        });
    });
}

#[test]
fn a_status_that_is_thrown_away_as_sigchld_is_ignored_is_an_error_and_no_hang() {
    alone(|| {
        // SAFETY: to ignore a signal runs no code.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }.unwrap();
        run(async || {
            is_lost(&cat().wait().await.unwrap_err());
        });
        assert_childless();
    });
}

#[test]
fn the_action_of_sigchld_is_not_touched() {
    alone(|| {
        run(async || {
            assert!(shell("exit 0").status().await.unwrap().success());
            let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
            // SAFETY: to ignore a signal runs no code.
            let found = unsafe { sigaction(Signal::SIGCHLD, &ignore) }.unwrap();
            assert_eq!(found.handler(), SigHandler::SigDfl);
        });
    });
}
