//! What cannot be simulated says so.

use std::future::pending;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use selkie::{Async, Builder, DefaultSelector, Events};
use selkie_sim::Sim;

use crate::util::Notes;

const SECOND: Duration = Duration::from_secs(1);

/// What it panics with.
fn panic_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    payload.downcast_ref::<String>().cloned().unwrap()
}

/// What a host notes that runs this.
fn told_by(main: impl Fn() -> String + Send + Sync + 'static) -> String {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let told = notes.clone();
    sim.host_blocking("host", move || told.add(main()));
    sim.run_for(SECOND);
    notes.take().concat()
}

#[test]
fn two_hosts_with_one_address_or_one_name_are_refused() {
    let mut sim = Sim::new(1);
    sim.host("10.0.0.1", pending::<()>);
    let error = panic_of(|| _ = sim.host(("other", [10, 0, 0, 1]), pending::<()>));
    assert_eq!(error, "two hosts cannot have the address 10.0.0.1, which is that of 10.0.0.1");
    sim.host("name", pending::<()>);
    let error = panic_of(|| _ = sim.host("name", pending::<()>));
    assert_eq!(error, "two hosts cannot have the name name");
}

#[test]
fn a_socket_of_the_real_network_is_refused_on_a_host() {
    let told = told_by(|| {
        selkie::block_on(async {
            let real = TcpListener::bind("127.0.0.1:0").unwrap();
            Async::try_from(real).unwrap_err().to_string()
        })
    });
    assert!(told.contains("is a socket of the real network (127.0.0.1:"), "{told}");
    assert!(told.contains("inside the simulated host host; open it by selkie"), "{told}");
}

#[test]
fn a_descriptor_of_another_host_is_refused() {
    use std::sync::Mutex;
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let passed: Arc<Mutex<Option<TcpStream>>> = Arc::default();
    let (from, to, told) = (Arc::clone(&passed), passed, notes.clone());
    sim.host("one", move || {
        let from = Arc::clone(&from);
        async move {
            let listener = Async::<TcpListener>::bind("0.0.0.0:7")?;
            let stream = Async::<TcpStream>::connect("127.0.0.1:7").await?;
            *from.lock().unwrap() = Some(stream.get_ref().try_clone()?);
            listener.accept().await?;
            pending::<io::Result<()>>().await
        }
    });
    sim.host("other", move || {
        let (to, told) = (Arc::clone(&to), told.clone());
        async move {
            selkie::sleep(SECOND / 2).await;
            let stream = to.lock().unwrap().take().unwrap();
            told.add(Async::try_from(stream).unwrap_err().to_string());
        }
    });
    sim.run_for(SECOND);
    let told = notes.take().concat();
    assert!(told.contains("is a socket of the simulated host one"), "{told}");
}

#[test]
fn an_address_that_is_not_the_hosts_cannot_be_bound() {
    let told = told_by(|| {
        selkie::block_on(async {
            Async::<TcpListener>::bind("10.9.9.9:80").unwrap_err().to_string()
        })
    });
    assert_eq!(
        told,
        "10.9.9.9 is no address of this simulated host, which has 10.0.0.1; bind that"
    );
}

#[test]
fn a_timerfd_is_refused_since_it_counts_real_time() {
    let told = told_by(|| Builder::new().timer_fd(true).build().unwrap_err().to_string());
    assert!(told.contains("is a timerfd(2), which counts real time"), "{told}");
}

#[test]
fn a_host_that_never_waits_is_named() {
    let goes_on = Arc::new(AtomicBool::new(true));
    let spins = Arc::clone(&goes_on);
    let mut sim = Sim::new(1);
    sim.watchdog(2 * SECOND);
    sim.host("quiet", pending::<()>);
    sim.host_blocking("busy", move || {
        while spins.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
    });
    let error = panic_of(|| sim.run_for(SECOND));
    assert!(error.starts_with("host busy has not come back to its select() or await"), "{error}");
    goes_on.store(false, Ordering::Relaxed);
}

#[test]
fn a_host_that_panics_or_fails_is_named_and_so_is_the_seed() {
    let mut sim = Sim::new(17);
    sim.host("bad", || async { assert_eq!(1, 2, "as was to be expected") });
    let error = panic_of(|| sim.run_for(SECOND));
    assert!(error.starts_with("host bad has failed at 0.0000"), "{error}");
    assert!(error.contains("as was to be expected") && error.ends_with("(seed 17)"), "{error}");
    let mut sim = Sim::new(18);
    sim.host("bad", || async { io::Result::<()>::Err(io::ErrorKind::NotFound.into()) });
    let error = panic_of(|| sim.run_for(SECOND));
    assert!(error.contains("entity not found (seed 18)"), "{error}");
}

#[test]
fn a_thread_that_a_host_has_started_is_told_of() {
    let mut sim = Sim::new(1);
    sim.host_blocking("host", || {
        let runtime = selkie::Runtime::new().unwrap();
        let remote = runtime.remote();
        let other = std::thread::spawn(move || {
            remote.spawn(|| async {}).unwrap().detach();
        });
        other.join().unwrap();
        runtime.block_on(selkie::sleep(SECOND / 2));
    });
    let error = panic_of(|| sim.run_for(SECOND));
    assert!(error.contains("by a thread that no simulation runs"), "{error}");
}

#[test]
fn a_name_that_no_host_has_is_not_looked_up_anywhere_else() {
    let told = told_by(|| {
        selkie::block_on(async {
            Async::<TcpStream>::connect("example.org:80").await.unwrap_err().to_string()
        })
    });
    assert!(told.starts_with("no simulated host is called \"example.org\""), "{told}");
}

#[test]
fn a_stepped_host_cannot_wait_in_a_select_of_its_own() {
    let mut sim = Sim::new(1);
    sim.host_stepped("host", || async {
        let mut selector = DefaultSelector::<TcpStream>::new()?;
        selector.select(&mut Events::new(), Some(SECOND)).map(|_| ())
    });
    let error = panic_of(|| sim.run_for(SECOND));
    assert!(error.contains("has no thread that could wait in a select()"), "{error}");
}
