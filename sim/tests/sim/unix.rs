//! Unix streams: paths are each host's own.

use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::Async;
use selkie_sim::Sim;

use crate::util::Notes;

const SECOND: Duration = Duration::from_secs(1);

/// Nobody could make a file there.
const PATH: &str = "/proc/selkie.sock";

async fn says(name: &'static str) -> std::io::Result<()> {
    let listener = Async::<UnixListener>::bind(PATH)?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(name.as_bytes()).await?;
    }
}

async fn hears() -> std::io::Result<String> {
    let mut text = String::new();
    let mut stream = Async::<UnixStream>::connect(PATH).await?;
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

#[test]
fn two_hosts_have_one_path_each_and_no_file_is_there() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    for name in ["one", "other"] {
        let told = notes.clone();
        sim.host(name, move || {
            let told = told.clone();
            async move {
                selkie::spawn(says(name)).detach();
                selkie::sleep(SECOND).await;
                told.add(format!("{name} hears {}", hears().await.unwrap()));
                assert!(!Path::new(PATH).exists());
            }
        });
    }
    sim.host("third", || async {
        selkie::sleep(SECOND).await;
        assert_eq!(hears().await.unwrap_err().kind(), ErrorKind::NotFound);
    });
    sim.run_for(2 * SECOND);
    let mut told = notes.take();
    told.sort();
    assert_eq!(told, ["one hears one", "other hears other"]);
}

#[test]
fn a_host_that_is_killed_leaves_its_path_and_binds_it_again() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    let told = notes.clone();
    let host = sim.host("host", move || {
        let told = told.clone();
        async move {
            let before = hears().await.unwrap_err().kind();
            selkie::spawn(says("host")).detach();
            selkie::sleep(SECOND / 2).await;
            told.add(format!("{before:?}, {}", hears().await.unwrap()));
            std::future::pending::<()>().await;
        }
    });
    sim.run_for(SECOND);
    sim.restart(host);
    sim.run_for(SECOND);
    assert_eq!(notes.take(), ["NotFound, host", "ConnectionRefused, host"]);
}
