//! Signals that come, and whom they are told.

use std::collections::BTreeSet;
use std::future::pending;
use std::pin::pin;
use std::sync::mpsc;
use std::thread;

use futures::{FutureExt, StreamExt, select};
use selkie::signal::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, Signal, Signals, ctrl_c};
use selkie::yield_now;

use crate::alone::{alone, threads};
use crate::liar;
use crate::send;
use crate::util::{Stepped, Watcher, open_descriptors, run, runtime};

async fn next(signals: &mut Signals) -> Signal {
    signals.next().await.expect("it never ends").unwrap()
}

#[test]
fn the_stream_tells_which_signal_came() {
    alone(|| {
        run(async || {
            let mut signals = Signals::new([SIGUSR1, SIGUSR2, SIGTERM]).unwrap();
            for signal in [SIGTERM, SIGUSR1, SIGUSR2, SIGUSR2, SIGUSR1] {
                send(signal);
                assert_eq!(next(&mut signals).await, signal);
            }
            assert!(next(&mut signals).now_or_never().is_none());
        });
    });
}

#[test]
fn of_signals_that_come_at_once_none_hides_another() {
    alone(|| {
        run(async || {
            let set = [SIGUSR1, SIGUSR2, SIGTERM, SIGWINCH, SIGINT];
            let mut signals = Signals::new(set).unwrap();
            for _ in 0..100 {
                set.into_iter().for_each(send);
                let mut came = BTreeSet::new();
                while came.len() < set.len() {
                    came.insert(next(&mut signals).await);
                }
            }
        });
    });
}

#[test]
fn one_signal_that_comes_all_the_time_does_not_hide_the_others() {
    alone(|| {
        run(async || {
            let mut signals = Signals::new([SIGUSR1, SIGUSR2]).unwrap();
            send(SIGUSR1);
            send(SIGUSR2);
            let mut taken = Vec::new();
            while !taken.contains(&SIGUSR2) {
                taken.push(next(&mut signals).await);
                send(SIGUSR1);
                assert!(taken.len() < 10, "{taken:?}");
            }
        });
    });
}

#[test]
fn of_a_thousand_of_one_kind_there_is_one_and_not_more_than_came() {
    alone(|| {
        run(async || {
            let mut signals = Signals::new([SIGUSR1]).unwrap();
            (0..1000).for_each(|_| send(SIGUSR1));
            assert_eq!(next(&mut signals).await, SIGUSR1);
            yield_now().await;
            assert!(next(&mut signals).now_or_never().is_none());
        });
    });
}

#[test]
fn no_signal_is_lost_between_two_looks_at_the_stream() {
    alone(|| {
        let (took, taken) = mpsc::channel();
        let sender = thread::spawn(move || {
            // Each is sent when the one before was taken, or while it still is being taken.
            for () in taken {
                send(SIGUSR1);
                send(SIGUSR2);
            }
        });
        run(async move || {
            let mut signals = Signals::new([SIGUSR1, SIGUSR2]).unwrap();
            for _ in 0..5_000 {
                took.send(()).unwrap();
                let (mut first, mut second) = (false, false);
                while !(first && second) {
                    match next(&mut signals).await {
                        SIGUSR1 => first = true,
                        _ => second = true,
                    }
                }
            }
        });
        sender.join().unwrap();
    });
}

#[test]
fn a_loop_that_is_blocked_is_woken_and_otherwise_it_sleeps() {
    alone(|| {
        let _quiet = liar::only_hidden_lies("nothing may happen by itself");
        let stepped = Stepped::new();
        let mut signals = stepped.enter(|| Signals::new([SIGUSR1]).unwrap());
        let watcher = Watcher::new();
        let mut next = pin!(signals.next());
        assert!(stepped.poll(next.as_mut(), &watcher).is_pending());
        stepped.settle();
        stepped.assert_idle();
        send(SIGUSR1);
        stepped.until("the signal wakes", || watcher.count() > 0);
        assert!(stepped.poll(next.as_mut(), &watcher).is_ready());
        stepped.settle();
        stepped.assert_idle();
    });
}

#[test]
fn a_future_of_the_next_signal_that_is_dropped_loses_none() {
    alone(|| {
        run(async || {
            let mut signals = Signals::new([SIGUSR1]).unwrap();
            for _ in 0..10 {
                assert!(next(&mut signals).now_or_never().is_none());
                send(SIGUSR1);
                yield_now().await;
                select! {
                    () = async {}.fuse() => {}
                    () = pending().fuse() => {}
                }
                assert_eq!(next(&mut signals).await, SIGUSR1);
            }
        });
    });
}

#[test]
fn every_signals_of_every_thread_is_told() {
    alone(|| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (ready, is_ready) = mpsc::channel();
                let thread = thread::spawn(move || {
                    run(async move || {
                        let [mut one, mut other] =
                            [(); 2].map(|()| Signals::new([SIGUSR1]).unwrap());
                        ready.send(()).unwrap();
                        assert_eq!(next(&mut one).await, SIGUSR1);
                        assert_eq!(next(&mut other).await, SIGUSR1);
                    });
                });
                is_ready.recv().unwrap();
                thread
            })
            .collect();
        send(SIGUSR1);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn other_users_of_the_registry_are_told_too() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    alone(|| {
        run(async || {
            let [before, after] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
            signal_hook::flag::register(SIGUSR1.number(), Arc::clone(&before)).unwrap();
            let mut signals = Signals::new([SIGUSR1]).unwrap();
            signal_hook::flag::register(SIGUSR1.number(), Arc::clone(&after)).unwrap();
            send(SIGUSR1);
            assert_eq!(next(&mut signals).await, SIGUSR1);
            assert!(before.load(Ordering::SeqCst) && after.load(Ordering::SeqCst));
        });
    });
}

#[test]
fn ctrl_c_that_is_awaited_again_waits_for_the_next_one() {
    alone(|| {
        run(async || {
            let mut interrupts = ctrl_c();
            send(SIGINT);
            (&mut interrupts).await.unwrap();
            assert!((&mut interrupts).now_or_never().is_none());
            send(SIGINT);
            interrupts.await.unwrap();
        });
    });
}

#[test]
fn ctrl_c_counts_from_the_call_and_not_from_the_first_poll() {
    alone(|| {
        run(async || {
            let interrupt = ctrl_c();
            send(SIGINT);
            yield_now().await;
            interrupt.await.unwrap();
        });
    });
}

#[test]
fn signals_start_no_thread_and_leave_no_descriptor_open() {
    alone(|| {
        let runtime = runtime();
        let (threads_before, open_before) = (threads(), open_descriptors());
        let watcher = Watcher::new();
        let stepped = Stepped::new();
        let with_runtime = open_descriptors();
        for _ in 0..3 {
            let mut signals = stepped.enter(|| Signals::new([SIGUSR1, SIGUSR2]).unwrap());
            send(SIGUSR1);
            stepped.finish(pin!(signals.next()), &watcher).unwrap().unwrap();
            assert_eq!(threads(), threads_before);
            assert_eq!(open_descriptors(), with_runtime + 1);
        }
        assert_eq!(open_descriptors(), with_runtime);
        drop(stepped);
        assert_eq!(open_descriptors(), open_before);
        drop(runtime);
    });
}

#[test]
fn a_stream_whose_runtime_is_gone_says_so() {
    alone(|| {
        let gone = Stepped::new();
        let mut signals = gone.enter(|| Signals::new([SIGUSR1]).unwrap());
        let watcher = Watcher::new();
        assert!(gone.poll(pin!(signals.next()), &watcher).is_pending());
        drop(gone);
        let other = Stepped::new();
        // The first look needs no runtime; it is the wait that fails.
        let error = other.finish(pin!(signals.next()), &watcher).unwrap().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        send(SIGUSR1);
        // What came is told all the same.
        let came = other.finish(pin!(signals.next()), &watcher);
        assert_eq!(came.unwrap().unwrap(), SIGUSR1);
        send(SIGUSR1);
        assert_eq!(signals.pending().collect::<Vec<_>>(), [SIGUSR1]);
    });
}
