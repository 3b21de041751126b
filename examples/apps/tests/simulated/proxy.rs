//! The proxy: what comes back is what was sent, as far as it comes.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, sleep, timeout};
use selkie_sim::{Sim, check, check_repeats, sometimes};

use crate::{SECOND, goes_on_after_faults};

#[path = "../../src/bin/proxy.rs"]
#[allow(dead_code)]
mod program;

async fn echo() -> io::Result<()> {
    let listener = Async::<TcpListener>::bind("10.0.0.1:80")?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        selkie::spawn(async move { futures::io::copy(&stream, &mut &stream).await }).detach();
    }
}

/// Sends bytes through the proxy, and compares what comes back. Returns true if all came.
async fn there_and_back() -> io::Result<bool> {
    let stream = Async::<TcpStream>::connect("10.0.0.2:80").await?;
    let bytes: Vec<u8> = (0..20_000_u32).map(|number| (number % 251) as u8).collect();
    let (mut writer, sent) = (stream.clone(), bytes.clone());
    let writing = selkie::spawn(async move {
        writer.write_all(&sent).await?;
        writer.close().await
    });
    let (mut back, mut buf) = (Vec::new(), vec![0; 4096]);
    let ended = loop {
        match (&stream).read(&mut buf).await {
            Ok(0) => break Ok(()),
            Ok(len) => back.extend_from_slice(&buf[..len]),
            Err(error) => break Err(error),
        }
    };
    assert!(bytes.starts_with(&back), "what came back was never sent");
    drop(writing);
    ended.map(|()| back.len() == bytes.len())
}

fn proxy(sim: &mut Sim) {
    let [listen, target] = ["10.0.0.2:80", "10.0.0.1:80"].map(|text| text.parse().unwrap());
    let mut hosts = vec![sim.host("server", echo)];
    hosts.push(sim.host("proxy", move || program::run(listen, target)));
    let done: Arc<Mutex<u32>> = Arc::default();
    for client in 0..2 {
        let (name, done) = (format!("client{client}"), Arc::clone(&done));
        hosts.push(sim.host(name.as_str(), move || {
            let done = Arc::clone(&done);
            async move {
                loop {
                    let ended = timeout(30 * SECOND, there_and_back()).await;
                    sometimes!(matches!(ended, Ok(Err(_))));
                    sometimes!(matches!(ended, Ok(Ok(false))));
                    *done.lock().unwrap() += u32::from(matches!(ended, Ok(Ok(true))));
                    sleep(SECOND / 4).await;
                }
                #[expect(unreachable_code)]
                ()
            }
        }));
    }
    goes_on_after_faults(sim, &hosts, &done, 10);
}

#[test]
fn what_a_proxy_brings_is_what_was_sent_whatever_goes_wrong() {
    check(0..8, proxy);
}

#[test]
fn a_proxy_takes_the_same_steps_for_a_seed() {
    check_repeats(3, proxy);
}
