//! What goes wrong, as programs see it.

use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::Async;
use selkie_sim::{AcceptError, Sim, Wrong};

use crate::util::{Notes, echo_client, echo_server};

const SECOND: Duration = Duration::from_secs(1);

/// Connects to the server, and notes how the connection ends.
fn watcher(notes: &Notes) -> impl Fn() -> futures::future::LocalBoxFuture<'static, ()> + use<> {
    let notes = notes.clone();
    move || {
        let notes = notes.clone();
        Box::pin(async move {
            let mut stream = Async::<TcpStream>::connect("server:7").await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.unwrap();
            let ended = stream.read(&mut hello).await.map_err(|error| error.kind());
            notes.add(format!("{ended:?}"));
        })
    }
}

#[test]
fn the_peer_of_a_host_that_is_killed_reads_the_end() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let server = sim.host("server", echo_server);
    sim.host("client", watcher(&notes));
    sim.run_for(SECOND);
    sim.kill(server);
    assert!(sim.has_ended(server));
    sim.run_for(SECOND);
    assert_eq!(notes.take(), ["Ok(0)"]);
}

#[test]
fn the_peer_of_a_host_without_power_hears_nothing_until_it_asks() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let server = sim.host("server", echo_server);
    sim.host("client", watcher(&notes));
    sim.run_for(SECOND);
    sim.power_off(server);
    sim.run_for(1000 * SECOND);
    assert!(notes.take().is_empty());
    sim.start(server);
    sim.run_for(SECOND);
    assert!(notes.take().is_empty(), "the server knows nothing of the connection");
}

#[test]
fn what_is_sent_to_a_host_that_has_forgotten_the_connection_resets_it() {
    let mut sim = Sim::new(1);
    let server = sim.host("server", echo_server);
    let notes = Notes::default();
    let told = notes.clone();
    sim.host("client", move || {
        let told = told.clone();
        async move {
            let error = echo_client("server", 100, 1000, Duration::from_millis(10)).await;
            told.add(format!("{:?}", error.unwrap_err().kind()));
        }
    });
    sim.run_for(SECOND);
    sim.power_off(server);
    sim.run_for(SECOND);
    assert!(notes.take().is_empty());
    sim.start(server);
    sim.run_for(SECOND);
    assert_eq!(notes.take(), ["ConnectionReset"]);
}

#[test]
fn a_reset_is_read_by_both_ends() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let server = sim.host("server", echo_server);
    let client = sim.host("client", watcher(&notes));
    sim.run_for(SECOND);
    sim.reset(server, client);
    sim.run_for(SECOND);
    assert_eq!(notes.take(), ["Err(ConnectionReset)"]);
}

#[test]
fn what_is_sent_across_a_cut_arrives_when_it_is_mended() {
    let mut sim = Sim::new(1);
    let server = sim.host("server", echo_server);
    let client = sim.host("client", || echo_client("server", 100, 100, Duration::from_millis(10)));
    sim.run_for(SECOND / 2);
    sim.cut(server, client);
    sim.run_for(60 * SECOND);
    assert!(!sim.has_ended(client));
    sim.mend(server, client);
    sim.run_for(2 * SECOND);
    assert!(sim.has_ended(client));
}

#[test]
fn a_connect_across_a_cut_tries_again_and_times_out_at_last() {
    let mut sim = Sim::new(1);
    let server = sim.host("server", echo_server);
    let client = sim.host("client", || async {
        let error = Async::<TcpStream>::connect("server:7").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        selkie::sleep(10 * SECOND).await;
        let stream = Async::<TcpStream>::connect("server:7").await?;
        stream.peer_addr()
    });
    sim.cut_one_way(client, server);
    sim.run_for(136 * SECOND);
    sim.mend_one_way(client, server);
    assert!(sim.run_until_ended(client, 10 * SECOND));
}

#[test]
fn a_paused_host_goes_on_where_it_was() {
    let mut sim = Sim::new(1);
    let server = sim.host("server", echo_server);
    let client = sim.host("client", || echo_client("server", 100, 100, Duration::from_millis(10)));
    sim.run_for(SECOND / 2);
    sim.pause(server);
    sim.run_for(60 * SECOND);
    assert!(!sim.has_ended(client));
    sim.resume(server);
    sim.run_for(2 * SECOND);
    assert!(sim.has_ended(client));
}

#[test]
fn a_restarted_host_begins_anew_with_fresh_thread_locals() {
    thread_local! {
        static STARTS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let told = notes.clone();
    let host = sim.host("host", move || {
        STARTS.set(STARTS.get() + 1);
        told.add(STARTS.get().to_string());
        futures::future::pending::<()>()
    });
    sim.run_for(SECOND);
    sim.restart(host);
    sim.run_for(SECOND);
    assert_eq!(notes.take(), ["1", "1"]);
}

#[test]
fn destructors_run_when_a_host_is_killed_and_may_even_wait() {
    struct Tells(Notes);
    impl Drop for Tells {
        fn drop(&mut self) {
            let waited = selkie::Runtime::new().unwrap().try_block_on(selkie::sleep(SECOND));
            self.0.add(format!("dropped, {}", waited.unwrap_err()));
        }
    }
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let told = notes.clone();
    let host = sim.host_blocking("host", move || {
        let _tells = Tells(told.clone());
        selkie::block_on(futures::future::pending::<()>());
    });
    sim.run_for(SECOND);
    sim.kill(host);
    assert_eq!(notes.take(), ["dropped, this simulated host is being ended; nothing comes here"]);
}

#[test]
fn accepts_fail_as_often_as_was_asked_for() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let told = notes.clone();
    let server = sim.host("server", move || {
        let told = told.clone();
        async move {
            let listener = Async::<TcpListener>::bind("0.0.0.0:7")?;
            loop {
                match listener.accept().await {
                    Ok(_) => {
                        told.add("accepted");
                        return io::Result::Ok(());
                    }
                    Err(error) => told.add(error.raw_os_error().unwrap().to_string()),
                }
            }
        }
    });
    sim.fail_accepts(server, AcceptError::NoDescriptors, 2);
    sim.fail_accepts(server, AcceptError::NoMemory, 1);
    sim.host("client", || Async::<TcpStream>::connect("server:7"));
    assert!(sim.run_until_ended(server, SECOND));
    assert_eq!(notes.take(), ["24", "24", "105", "accepted"]);
}

#[test]
fn writes_are_short_while_they_are_to_be() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    sim.host("server", echo_server);
    let told = notes.clone();
    let client = sim.host("client", move || {
        let told = told.clone();
        async move {
            let mut stream = Async::<TcpStream>::connect("server:7").await?;
            for _ in 0..2 {
                told.add((stream.write(&[1; 50_000]).await? < 50_000).to_string());
                selkie::sleep(2 * SECOND).await;
            }
            io::Result::Ok(())
        }
    });
    sim.short_writes(client, true);
    sim.run_for(SECOND);
    sim.short_writes(client, false);
    assert!(sim.run_until_ended(client, 10 * SECOND));
    assert_eq!(notes.take(), ["true", "false"]);
}

#[test]
fn a_skewed_clock_sleeps_shorter_or_longer() {
    let mut sim = Sim::new(1);
    let host = sim.host("host", || selkie::sleep(100 * SECOND));
    sim.skew(host, 100_000);
    assert!(sim.run_until_ended(host, 200 * SECOND));
    let seconds = sim.now().as_secs_f64();
    assert!((90.9..91.0).contains(&seconds), "{seconds}");
}

#[test]
fn a_host_that_refuses_is_as_one_where_nobody_listens() {
    let mut sim = Sim::new(1);
    let server = sim.host("server", echo_server);
    sim.refuse(server, true);
    let client = sim.host("client", || async {
        let error = Async::<TcpStream>::connect("server:7").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        selkie::sleep(2 * SECOND).await;
        Async::<TcpStream>::connect("server:7").await
    });
    sim.run_for(SECOND);
    sim.refuse(server, false);
    assert!(sim.run_until_ended(client, 10 * SECOND));
}

#[test]
fn what_is_held_back_comes_later_and_in_order() {
    let mut sim = Sim::new(1);
    let server = sim.host("server", echo_server);
    let client = sim.host("client", || echo_client("server", 100, 100, Duration::from_millis(10)));
    sim.run_for(SECOND / 2);
    sim.hold(server, client);
    sim.run_for(10 * SECOND);
    assert!(!sim.has_ended(client));
    sim.release(server, client);
    sim.run_for(2 * SECOND);
    assert!(sim.has_ended(client));
}

#[test]
fn a_fault_starts_no_program_again_that_had_ended_by_itself() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let told = notes.clone();
    let host = sim.host("host", move || {
        told.add("starts");
        selkie::sleep(SECOND)
    });
    for wrong in [Wrong::Killed(host), Wrong::PoweredOff(host)] {
        sim.plan(sim.fault(2 * SECOND, wrong, SECOND));
    }
    sim.run_for(10 * SECOND);
    assert_eq!(notes.take(), ["starts"]);
    sim.plan(sim.fault(SECOND / 2, Wrong::Killed(host), SECOND));
    sim.start(host);
    sim.run_for(10 * SECOND);
    assert_eq!(notes.take(), ["starts", "starts"]);
}
