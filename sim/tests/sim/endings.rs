//! How programs come to their end, and what others see of it.

use std::future::pending;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use selkie::Async;
use selkie_sim::{Host, Sim, Wrong, between_runs};

use crate::util::{Notes, echo_server};

const SECOND: Duration = Duration::from_secs(1);

/// Says goodbye by TCP and by UDP when it is dropped.
struct SaysGoodbye(Async<TcpStream>, Async<UdpSocket>);

impl Drop for SaysGoodbye {
    fn drop(&mut self) {
        let _ = self.0.get_ref().write(b"goodbye");
        let send = self.1.send_to(b"goodbye", ([10, 0, 0, 1], 9));
        let mut send = std::pin::pin!(send);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = send.as_mut().poll(&mut context);
    }
}

/// A host that notes what it hears, and one that says goodbye when it is ended.
fn goodbye(sim: &mut Sim, notes: &Notes) -> Host {
    let heard = notes.clone();
    sim.host(("hears", [10, 0, 0, 1]), move || {
        let notes = heard.clone();
        async move {
            let socket = Async::<UdpSocket>::bind("0.0.0.0:9")?;
            let datagrams = notes.clone();
            selkie::spawn(async move {
                let mut buf = [0; 16];
                while let Ok((len, _)) = socket.recv_from(&mut buf).await {
                    datagrams.add(format!("datagram: {}", String::from_utf8_lossy(&buf[..len])));
                }
            })
            .detach();
            let listener = Async::<TcpListener>::bind("0.0.0.0:9")?;
            let (mut stream, _) = listener.accept().await?;
            let mut text = String::new();
            let ended = stream.read_to_string(&mut text).await.map_err(|error| error.kind());
            notes.add(format!("stream: {text:?}, {ended:?}"));
            pending::<io::Result<()>>().await
        }
    });
    sim.host("leaves", || async {
        let stream = Async::<TcpStream>::connect("10.0.0.1:9").await?;
        let _says = SaysGoodbye(stream, Async::<UdpSocket>::bind("0.0.0.0:0")?);
        pending::<io::Result<()>>().await
    })
}

#[test]
fn destructors_of_a_killed_program_say_nothing_to_others() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let host = goodbye(&mut sim, &notes);
    sim.run_for(SECOND);
    sim.kill(host);
    sim.run_for(SECOND);
    assert_eq!(notes.take(), ["stream: \"\", Ok(0)"]);
}

#[test]
fn nothing_is_heard_of_a_host_that_loses_its_power() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let host = goodbye(&mut sim, &notes);
    sim.run_for(SECOND);
    sim.power_off(host);
    sim.run_for(100 * SECOND);
    assert!(notes.take().is_empty());
}

#[test]
fn a_program_that_is_killed_with_something_unread_resets_its_peer() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let server = sim.host(("server", [10, 0, 0, 1]), || async {
        let listener = Async::<TcpListener>::bind("0.0.0.0:7")?;
        let _stream = listener.accept().await?;
        pending::<io::Result<()>>().await
    });
    let told = notes.clone();
    sim.host("client", move || {
        let told = told.clone();
        async move {
            let mut stream = Async::<TcpStream>::connect("server:7").await?;
            stream.write_all(b"hello").await?;
            let read = stream.read(&mut [0; 8]).await.map_err(|error| error.kind());
            told.add(format!("{read:?}"));
            io::Result::Ok(())
        }
    });
    sim.run_for(SECOND);
    sim.kill(server);
    sim.run_for(SECOND);
    assert_eq!(notes.take(), ["Err(ConnectionReset)"]);
}

#[test]
fn a_program_that_is_killed_while_a_destructor_waits_ends_there() {
    struct Waits(Notes);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.add("waits");
            selkie::block_on(selkie::sleep(10 * SECOND));
            self.0.add("has waited");
        }
    }
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let told = notes.clone();
    let host = sim.host_blocking("host", move || drop(Waits(told.clone())));
    sim.run_for(SECOND);
    sim.restart(host);
    sim.run_for(SECOND);
    sim.power_off(host);
    assert_eq!(notes.take(), ["waits", "waits"]);
}

#[test]
fn who_waits_to_be_accepted_hears_nothing_of_a_power_off() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let server = sim.host(("server", [10, 0, 0, 1]), || async {
        let _listener = Async::<TcpListener>::bind("0.0.0.0:7")?;
        pending::<io::Result<()>>().await
    });
    let told = notes.clone();
    sim.host("client", move || {
        let told = told.clone();
        async move {
            let mut stream = Async::<TcpStream>::connect("server:7").await?;
            told.add("connected");
            let read = stream.read(&mut [0; 8]).await.map_err(|error| error.kind());
            told.add(format!("{read:?}"));
            io::Result::Ok(())
        }
    });
    sim.run_for(SECOND);
    sim.power_off(server);
    sim.run_for(100 * SECOND);
    assert_eq!(notes.take(), ["connected"]);
}

#[test]
fn a_host_that_is_killed_when_it_has_sent_gets_one_datagram_out_and_begins_anew() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let heard = notes.clone();
    sim.host(("hears", [10, 0, 0, 1]), move || {
        let notes = heard.clone();
        async move {
            let socket = Async::<UdpSocket>::bind("0.0.0.0:9")?;
            let mut buf = [0; 16];
            loop {
                let (len, _) = socket.recv_from(&mut buf).await?;
                notes.add(String::from_utf8_lossy(&buf[..len]));
            }
            #[expect(unreachable_code)]
            io::Result::Ok(())
        }
    });
    let told = notes.clone();
    let host = sim.host("says", move || {
        told.add("starts");
        async {
            let socket = Async::<UdpSocket>::bind("0.0.0.0:0")?;
            selkie::sleep(2 * SECOND).await;
            for text in ["one", "two"] {
                socket.send_to(text.as_bytes(), ([10, 0, 0, 1], 9)).await?;
            }
            pending::<io::Result<()>>().await
        }
    });
    sim.plan(sim.fault(SECOND, Wrong::KilledOnSend(host), SECOND));
    sim.run_for(4 * SECOND);
    assert_eq!(notes.take(), ["starts", "one", "starts"]);
    sim.run_for(2 * SECOND);
    assert_eq!(notes.take().len(), 2);
}

/// The variable that tells the process of a test what its host does.
const DOES: &str = "SELKIE_TEST_DOES";

/// Not a test: what the ones below run, in another process.
#[test]
#[ignore = "it ends its process, for others"]
fn ends_its_process() {
    let Ok(what) = std::env::var(DOES) else { return };
    let mut sim = Sim::new(1);
    sim.watchdog(2 * SECOND);
    if what == "lacks descriptors" {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 64, most).unwrap();
        sim.host("server", echo_server);
        sim.host("client", || async {
            let mut all = Vec::new();
            loop {
                all.push(Async::<TcpStream>::connect("server:7").await?);
            }
            #[expect(unreachable_code)]
            io::Result::Ok(())
        });
    } else if what == "exits" {
        sim.host("hasty", || async {
            if selkie::time::now().elapsed() < SECOND {
                std::process::exit(0)
            }
        });
    } else {
        sim.host_stepped("patient", || async {
            sim_never_comes_back();
        });
    }
    sim.run_for(SECOND);
}

fn sim_never_comes_back() {
    loop {
        std::thread::park_timeout(SECOND);
    }
}

/// What the process printed, and whether it was successful.
fn process_that(what: &str) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["endings::ends_its_process", "--exact", "--ignored", "--nocapture"])
        .env(DOES, what)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let output = between_runs(|| command.spawn()).unwrap().wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_test_does_not_pass_because_a_host_exits() {
    let (is_success, text) = process_that("exits");
    assert!(!is_success);
    assert!(text.contains("host hasty has ended the process of the test"), "{text}");
}

#[test]
fn a_simulation_that_lacks_descriptors_says_so_and_loses_no_connection_silently() {
    let (is_success, text) = process_that("lacks descriptors");
    assert!(!is_success);
    assert!(text.contains("the simulation lacks a descriptor at 0.0"), "{text}");
    assert!(text.contains("A connection needs four"), "{text}");
}

#[test]
fn a_stepped_host_that_never_comes_back_is_named() {
    let (is_success, text) = process_that("blocks");
    assert!(!is_success);
    assert!(text.contains("host patient has not come back from its turn"), "{text}");
}

#[test]
fn ten_years_of_nothing_take_no_time() {
    let mut sim = Sim::new(1);
    let host = sim.host("host", || selkie::sleep(Duration::from_secs(10 * 365 * 86_400)));
    let start = std::time::Instant::now();
    assert!(sim.run_until_ended(host, Duration::MAX));
    sim.run_for(Duration::from_secs(10 * 365 * 86_400));
    assert!(start.elapsed() < 10 * SECOND);
}
