//! Signals as a key in an explicit loop, on every back end.

use std::time::Duration;

use selkie::selector::{Backend, BackendKind};
use selkie::signal::{SIGTERM, SIGUSR1, SIGUSR2, Signal, Signals};
use selkie::{Events, Interest, Key, Mode, Selector};

use crate::alone::{alone, threads};
use crate::send;
use crate::util::DEADLINE;

type Loop = Selector<Signals, (), Box<dyn Backend + Send>>;

fn with_key(kind: BackendKind, mode: Mode, set: &[Signal]) -> (Loop, Key) {
    let mut selector = Loop::with_backend(kind.open().unwrap());
    let signals = Signals::new(set.iter().copied()).unwrap();
    let key = selector.register_with_mode(signals, Interest::READ, mode, ()).unwrap();
    (selector, key)
}

fn is_ready(selector: &mut Loop, timeout: Duration) -> bool {
    let mut events = Events::new();
    selector.select(&mut events, Some(timeout)).unwrap().count() > 0
}

#[test]
fn a_key_is_ready_when_a_signal_came_and_tells_which() {
    alone(|| {
        for kind in BackendKind::ALL {
            let (mut selector, key) = with_key(*kind, Mode::Level, &[SIGUSR1, SIGUSR2]);
            assert!(!is_ready(&mut selector, Duration::ZERO), "{kind}");
            send(SIGUSR2);
            assert!(is_ready(&mut selector, DEADLINE), "{kind}");
            let taken: Vec<_> = selector[key].source.pending().collect();
            assert_eq!(taken, [SIGUSR2], "{kind}");
            assert!(!is_ready(&mut selector, Duration::ZERO), "{kind}");
        }
        assert_eq!(threads(), 2, "libtest's own two");
    });
}

#[test]
fn what_was_not_taken_is_reported_again() {
    alone(|| {
        for kind in BackendKind::ALL {
            let set = [SIGUSR1, SIGUSR2, SIGTERM];
            let (mut selector, key) = with_key(*kind, Mode::Level, &set);
            set.into_iter().for_each(send);
            let mut taken = Vec::new();
            while taken.len() < set.len() {
                assert!(is_ready(&mut selector, DEADLINE), "{kind}: after {taken:?}");
                taken.extend(selector[key].source.pending().next());
            }
            taken.sort_unstable();
            assert_eq!(taken, [SIGUSR1, SIGUSR2, SIGTERM], "{kind}");
            assert_eq!(selector[key].source.pending().next(), None);
            assert!(!is_ready(&mut selector, Duration::ZERO), "{kind}");
        }
    });
}

#[test]
fn an_edge_comes_for_each_signal_after_all_were_taken() {
    alone(|| {
        for kind in BackendKind::ALL {
            if !kind.open().unwrap().supports(Mode::Edge) {
                continue;
            }
            let (mut selector, key) = with_key(*kind, Mode::Edge, &[SIGUSR1, SIGUSR2]);
            for _ in 0..10 {
                send(SIGUSR1);
                send(SIGUSR2);
                assert!(is_ready(&mut selector, DEADLINE), "{kind}");
                assert_eq!(selector[key].source.pending().count(), 2, "{kind}");
                assert!(!is_ready(&mut selector, Duration::ZERO), "{kind}");
            }
        }
    });
}

#[test]
fn the_key_gives_the_signals_back_and_a_runtime_can_go_on_with_them() {
    use futures::StreamExt;

    alone(|| {
        let (mut selector, key) =
            with_key(BackendKind::from_env().unwrap(), Mode::Level, &[SIGUSR1]);
        let signals = selector.unregister(key).unwrap().source;
        send(SIGUSR1);
        crate::util::runtime().block_on(async {
            let mut signals = signals;
            assert_eq!(signals.next().await.unwrap().unwrap(), SIGUSR1);
        });
    });
}
