//! A signal every millisecond: EINTR ends every wait, and no timeout.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use selkie::selector::{Backend, BackendKind, ReadyList, Until, Wrapped};
use selkie::{Builder, Events, Interest, Selector, sleep};

use crate::seeds::on_own_thread;

/// Between two signals.
const PERIOD: Duration = Duration::from_millis(1);

/// Some signals long.
const TIMEOUT: Duration = Duration::from_millis(20);

/// A back end in whose waits nothing happens for longer than the period but a signal.
fn signalled(kind: BackendKind) -> impl Backend + Send {
    type Inner = Box<dyn Backend + Send>;
    let wait = |inner: &mut Inner, ready: &mut ReadyList, until: Until| {
        let until = until.at_most(PERIOD, || inner.now());
        inner.wait(ready, until)?;
        let is_nothing = ready.is_empty() && !ready.is_notified();
        if is_nothing && !until.is_now() {
            return Err(io::Error::from(Errno::INTR));
        }
        Ok(())
    };
    Wrapped::new(kind.open().unwrap(), wait)
}

#[test]
fn a_select_that_is_interrupted_again_and_again_ends_at_its_deadline() {
    for kind in BackendKind::ALL {
        on_own_thread("", move || {
            let mut selector = Selector::<UnixStream, (), _>::with_backend(signalled(*kind));
            let (near, _far) = UnixStream::pair().unwrap();
            selector.register(near, Interest::READ, ()).unwrap();
            let start = Instant::now();
            let found = selector.select(&mut Events::new(), Some(TIMEOUT)).unwrap().count();
            assert_eq!(found, 0, "{kind}");
            assert!(start.elapsed() >= TIMEOUT, "{kind}: cut short");
        });
    }
}

#[test]
fn a_timer_fires_in_time_though_every_wait_is_interrupted() {
    for kind in BackendKind::ALL {
        on_own_thread("", move || {
            let runtime = Builder::new().build_with(Box::new(signalled(*kind))).unwrap();
            let start = Instant::now();
            runtime.block_on(sleep(TIMEOUT));
            assert!(start.elapsed() >= TIMEOUT, "{kind}: too early");
        });
    }
}
