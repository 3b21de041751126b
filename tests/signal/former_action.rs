//! What a signal does when nobody waits for it any more.

use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{SigHandler, Signal as Number, signal as signal_action};
use selkie::signal::{SIGINT, SIGTERM, SIGUSR1, Signal, Signals, ctrl_c};

use crate::alone::{alone, command};
use crate::child;
use crate::send;
use crate::util::{DEADLINE, run};

/// Runs `test` in a process of its own, and insists that this signal ends that process after it
/// has printed `alive`.
#[track_caller]
fn ends_by(signal: Signal, test: impl Fn()) {
    if child::role().is_some() {
        let number = Number::try_from(signal.number()).unwrap();
        // Whoever runs this in the background of a script has SIGINT ignored.
        // SAFETY: it installs no handler.
        unsafe { signal_action(number, SigHandler::SigDfl) }.unwrap();
        test();
        // The signal may come to the other thread.
        thread::sleep(2 * DEADLINE);
        return;
    }
    let Output { status, stdout, stderr } = child::end(&mut command(&test), 3 * DEADLINE);
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(stdout.contains("alive"), "it ended too early: {status}\n{stdout}\n{stderr}");
    assert_eq!(status.signal(), Some(signal.number()), "{status}\n{stdout}\n{stderr}");
}

fn taken(signals: &Signals) -> Vec<Signal> {
    signals.pending().collect()
}

#[test]
fn the_last_signals_that_is_dropped_gives_the_default_action_back() {
    ends_by(SIGTERM, || {
        let [one, other] = [(); 2].map(|()| Signals::new([SIGTERM, SIGUSR1]).unwrap());
        drop(one);
        send(SIGTERM);
        assert_eq!(taken(&other), [SIGTERM]);
        drop(other);
        println!("alive");
        send(SIGTERM);
    });
}

#[test]
fn signals_that_are_made_anew_take_the_signal_again() {
    ends_by(SIGTERM, || {
        for _ in 0..3 {
            let signals = Signals::new([SIGTERM]).unwrap();
            send(SIGTERM);
            assert_eq!(taken(&signals), [SIGTERM]);
        }
        println!("alive");
        send(SIGTERM);
    });
}

#[test]
fn a_second_ctrl_c_ends_a_program_that_hangs() {
    ends_by(SIGINT, || {
        run(async || {
            let interrupt = ctrl_c();
            send(SIGINT);
            interrupt.await.unwrap();
            println!("alive");
            send(SIGINT);
            // Hangs: the loop does not turn.
            thread::sleep(2 * DEADLINE);
        });
    });
}

#[test]
fn the_threads_last_signals_counts_and_not_that_of_one_thread() {
    ends_by(SIGTERM, || {
        let signals = Signals::new([SIGTERM]).unwrap();
        let others = (0..4).map(|_| {
            thread::spawn(|| (0..200).for_each(|_| drop(Signals::new([SIGTERM]).unwrap())))
        });
        let others: Vec<_> = others.collect();
        while others.iter().any(|other| !other.is_finished()) {
            send(SIGTERM);
        }
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(taken(&signals), [SIGTERM]);
        drop(signals);
        println!("alive");
        send(SIGTERM);
    });
}

#[test]
fn a_signal_that_was_ignored_is_ignored_again() {
    alone(|| {
        // SAFETY: to ignore a signal runs no code.
        unsafe { signal_action(Number::SIGTERM, SigHandler::SigIgn) }.unwrap();
        let signals = Signals::new([SIGTERM]).unwrap();
        send(SIGTERM);
        assert_eq!(taken(&signals), [SIGTERM]);
        drop(signals);
        send(SIGTERM);
        let signals = Signals::new([SIGTERM]).unwrap();
        assert_eq!(taken(&signals), []);
    });
}

#[test]
fn a_handler_of_the_registry_that_was_there_before_stays() {
    alone(|| {
        let came = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGTERM.number(), Arc::clone(&came)).unwrap();
        drop(Signals::new([SIGTERM]).unwrap());
        send(SIGTERM);
        assert!(came.load(Ordering::SeqCst));
    });
}

#[test]
fn a_handler_that_others_installed_meanwhile_stays() {
    static CAME: AtomicBool = AtomicBool::new(false);

    extern "C" fn note(_signal: i32) {
        CAME.store(true, Ordering::SeqCst);
    }

    alone(|| {
        let signals = Signals::new([SIGTERM]).unwrap();
        // SAFETY: the handler only stores to an atomic.
        unsafe { signal_action(Number::SIGTERM, SigHandler::Handler(note)) }.unwrap();
        drop(signals);
        send(SIGTERM);
        assert!(CAME.load(Ordering::SeqCst));
    });
}

#[test]
fn a_child_that_is_executed_has_the_default_action() {
    alone(|| {
        let _signals = Signals::new([SIGTERM]).unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(SIGTERM.number()));
    });
}

/// The registry installs its handler once, and tells nobody of those who come later: see the
/// module's limits.
#[test]
fn who_comes_to_the_registry_after_the_last_signals_needs_a_signals_that_stays() {
    ends_by(SIGTERM, || {
        drop(Signals::new([SIGTERM]).unwrap());
        let came = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGTERM.number(), Arc::clone(&came)).unwrap();
        let stays = Signals::new([SIGTERM]).unwrap();
        send(SIGTERM);
        assert!(came.load(Ordering::SeqCst));
        drop(stays);
        println!("alive");
        send(SIGTERM);
    });
}
