//! A program whose calls to the standard library are answered by the simulation, too.

use std::collections::HashMap;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use selkie::Async;
use selkie_sim::{Sim, check_repeats};

selkie_sim::interpose!();

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn the_standard_librarys_clocks_are_virtual_on_a_host_and_real_elsewhere() {
    let real = Instant::now();
    let mut sim = Sim::new(1);
    let program = || async {
        assert_eq!(Instant::now(), selkie::time::now());
        let (start, calendar) = (Instant::now(), SystemTime::now());
        selkie::sleep(HOUR).await;
        assert_eq!(start.elapsed(), HOUR);
        assert_eq!(calendar.elapsed().unwrap(), HOUR);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert_eq!(since_1970.as_secs(), 1_767_225_600 + 3600);
    };
    let host = sim.host("host", program);
    let stepped = sim.host_stepped("stepped", program);
    assert!(sim.run_until_ended(host, 2 * HOUR) && sim.run_until_ended(stepped, HOUR));
    assert!(real.elapsed() < HOUR / 60);
    assert!(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() > 1_767_225_600);
}

#[test]
fn a_thread_that_sleeps_on_a_host_sleeps_in_virtual_time_and_can_be_killed() {
    let real = Instant::now();
    let mut sim = Sim::new(1);
    let woken = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&woken);
    let sleeper = sim.host_blocking("sleeper", move || {
        loop {
            let start = Instant::now();
            std::thread::sleep(HOUR);
            assert!(start.elapsed() >= HOUR && start.elapsed() < HOUR + HOUR / 3600);
            *counted.lock().unwrap() += 1;
            selkie::block_on(async {});
        }
        #[expect(unreachable_code)]
        ()
    });
    sim.run_for(3 * HOUR + HOUR / 2);
    assert_eq!(*woken.lock().unwrap(), 3);
    sim.kill(sleeper);
    assert!(sim.has_ended(sleeper));
    assert!(real.elapsed() < HOUR / 60);
    std::thread::sleep(Duration::from_millis(2));
    assert!(real.elapsed() >= Duration::from_millis(2));
}

#[test]
fn the_order_of_a_map_is_that_of_the_seed() {
    let order = |seed: u64| {
        let noted = Arc::new(Mutex::new(vec![]));
        let notes = Arc::clone(&noted);
        check_repeats(seed, move |sim| {
            let notes = Arc::clone(&notes);
            sim.host("host", move || {
                let map: HashMap<u32, ()> = (0..100).map(|key| (key, ())).collect();
                notes.lock().unwrap().push(map.into_keys().collect::<Vec<_>>());
                async {}
            });
            sim.run_for(HOUR);
        });
        let mut orders = noted.lock().unwrap().clone();
        orders.dedup();
        assert_eq!(orders.len(), 1, "it was the same in both runs");
        orders.remove(0)
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn a_path_that_was_bound_can_be_removed() {
    use std::os::unix::net::{UnixListener, UnixStream};
    let mut sim = Sim::new(1);
    let host = sim.host("host", || async {
        const PATH: &str = "/proc/selkie.sock";
        let listener = Async::<UnixListener>::bind(PATH).unwrap();
        std::fs::remove_file(PATH).unwrap();
        let gone = Async::<UnixStream>::connect(PATH).await.unwrap_err();
        assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
        assert!(std::fs::remove_file(PATH).is_err());
        let _other = Async::<UnixListener>::bind(PATH).unwrap();
        drop(listener);
        Async::<UnixStream>::connect(PATH).await.unwrap();
    });
    assert!(sim.run_until_ended(host, Duration::from_secs(1)));
}

#[test]
fn a_stream_of_the_standard_library_knows_its_addresses() {
    let mut sim = Sim::new(1);
    sim.host("server", || async {
        let listener = Async::<TcpListener>::bind("0.0.0.0:80")?;
        let (stream, peer) = listener.accept().await?;
        assert_eq!(stream.get_ref().peer_addr()?, peer);
        assert_eq!(stream.get_ref().local_addr()?.to_string(), "10.0.0.1:80");
        io::Result::Ok(())
    });
    let client = sim.host("client", || async {
        let stream = Async::<TcpStream>::connect("server:80").await?;
        assert_eq!(stream.get_ref().peer_addr()?, stream.peer_addr()?);
        assert_eq!(stream.get_ref().local_addr()?, stream.local_addr()?);
        selkie::sleep(HOUR).await;
        let closed = stream.get_ref().peer_addr().map_err(|error| error.raw_os_error());
        assert_eq!(closed.unwrap().to_string(), "10.0.0.1:80");
        io::Result::Ok(())
    });
    assert!(sim.run_until_ended(client, 2 * HOUR));
    let real = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(real.local_addr().unwrap().port() > 0);
}
