//! Hosts, their clock and their network.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::net::nonblocking;
use selkie::{Async, DefaultSelector, Events, Interest};
use selkie_sim::{Link, Sim};

use crate::util::{Notes, echoes, loop_server};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn an_hour_of_sleep_takes_no_time() {
    let real = Instant::now();
    let mut sim = Sim::new(1);
    let notes = Notes::default();
    let told = notes.clone();
    let host = sim.host("sleeper", move || {
        let told = told.clone();
        async move {
            let start = selkie::time::now();
            selkie::sleep(HOUR).await;
            told.add(format!("{} s", (selkie::time::now() - start).as_secs()));
        }
    });
    assert!(!sim.run_until_ended(host, HOUR - Duration::from_secs(1)));
    assert!(notes.take().is_empty());
    sim.run_for(Duration::from_secs(2));
    assert_eq!(notes.take(), ["3600 s"]);
    assert_eq!(sim.now(), HOUR + Duration::from_secs(1));
    assert!(real.elapsed() < HOUR / 60);
}

#[test]
fn hosts_talk_by_tcp_and_see_each_others_addresses() {
    let mut sim = Sim::new(2);
    let notes = Notes::default();
    let (server, client) = (notes.clone(), notes.clone());
    sim.host(("server", [10, 1, 0, 1]), move || {
        let notes = server.clone();
        async move {
            let listener = Async::<TcpListener>::bind("0.0.0.0:80")?;
            notes.add(format!("listens on {}", listener.local_addr()?));
            let (mut stream, peer) = listener.accept().await?;
            notes.add(format!("from {peer} to {}", stream.local_addr()?));
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await?;
            stream.write_all(b"got it").await?;
            notes.add(format!("{} bytes", all.len()));
            io::Result::Ok(())
        }
    });
    let host = sim.host("10.2.0.1", move || {
        let notes = client.clone();
        async move {
            let mut stream = Async::<TcpStream>::connect("server:80").await?;
            notes.add(format!("to {}", stream.peer_addr()?));
            stream.write_all(&vec![7; 1_000_000]).await?;
            stream.close().await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            notes.add(answer);
            io::Result::Ok(())
        }
    });
    assert!(sim.run_until_ended(host, HOUR));
    assert_eq!(
        notes.take(),
        [
            "listens on 0.0.0.0:80",
            "from 10.2.0.1:49152 to 10.1.0.1:80",
            "to 10.1.0.1:80",
            "1000000 bytes",
            "got it"
        ]
        .map(str::to_owned)
        .into_iter()
        .collect::<Vec<_>>()
    );
}

#[test]
fn an_explicit_loop_takes_part_unmodified() {
    fn client() -> io::Result<()> {
        let stream = nonblocking::connect("10.0.0.1:7".parse().unwrap())?;
        let mut selector = DefaultSelector::new()?;
        let key = selector.register(stream, Interest::WRITE, ())?;
        let mut events = Events::new();
        selector.select(&mut events, None)?;
        let stream = &selector[key].source;
        nonblocking::finish_connect(stream)?;
        let mut stream = stream;
        stream.write_all(b"hello")?;
        selector.modify(key, Interest::READ)?;
        selector.select(&mut events, None)?;
        let mut buf = [0; 64];
        assert_eq!((&selector[key].source).read(&mut buf)?, 5);
        Ok(())
    }
    let mut sim = Sim::new(3);
    sim.host_blocking("10.0.0.1", loop_server);
    let client = sim.host_blocking("10.0.0.2", client);
    assert!(sim.run_until_ended(client, HOUR));
}

#[test]
fn a_connect_to_nobody_is_refused_and_to_no_host_unreachable() {
    let mut sim = Sim::new(4);
    sim.host("10.0.0.1", || async { selkie::sleep(HOUR).await });
    let host = sim.host("10.0.0.2", || async {
        let refused = Async::<TcpStream>::connect("10.0.0.1:80").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let nowhere = Async::<TcpStream>::connect("192.0.2.1:80").await.unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::HostUnreachable);
        assert!(
            nowhere.to_string().starts_with("192.0.2.1:80 is the address of no simulated host")
        );
        let unknown = Async::<TcpStream>::connect("example.org:80").await.unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::NotFound);
    });
    assert!(sim.run_until_ended(host, HOUR));
}

#[test]
fn the_same_seed_takes_the_same_steps_and_others_take_others() {
    let hash = |seed| {
        let mut sim = echoes(seed, 3);
        sim.run_for(Duration::from_secs(1));
        sim.trace_hash()
    };
    let first = hash(1);
    assert!((0..5).all(|_| hash(1) == first));
    let hashes: BTreeSet<u64> = (0..20).map(hash).collect();
    assert_eq!(hashes.len(), 20);
}

#[test]
fn a_kept_trace_can_be_read() {
    let mut sim = echoes(1, 1);
    sim.keep_trace();
    sim.run_for(Duration::from_secs(1));
    let text = sim.trace().to_string();
    for line in ["listens   0.0.0.0:7", "connects  #1 to 10.0.0.1:7", "sends     1024 bytes on #1"]
    {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
}

#[test]
fn a_kept_trace_is_one_for_perfetto_with_a_track_for_each_host() {
    let mut sim = Sim::new(1);
    sim.keep_trace();
    sim.host("server", || async {
        let listener = Async::<TcpListener>::bind("0.0.0.0:80")?;
        let (stream, _) = listener.accept().await?;
        futures::io::copy(&stream, &mut &stream).await
    });
    sim.host("client", || async {
        let mut stream = Async::<TcpStream>::connect("server:80").await?;
        stream.write_all(&[0; 1024]).await?;
        stream.read_exact(&mut [0; 1024]).await
    });
    sim.run_for(Duration::from_secs(1));
    let mut json = Vec::new();
    sim.trace().write_trace(&mut json).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let (names, steps): (Vec<_>, Vec<_>) =
        json["traceEvents"].as_array().unwrap().iter().partition(|event| event["ph"] == "M");
    assert_eq!(steps.len() as u64, sim.trace().count());
    let named: BTreeSet<_> = names.iter().map(|name| name["tid"].as_u64().unwrap()).collect();
    let used: BTreeSet<_> = steps.iter().map(|step| step["tid"].as_u64().unwrap()).collect();
    assert_eq!((named.len(), &named), (2, &used));
    let times: Vec<_> = steps.iter().map(|step| step["ts"].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && times.last() <= Some(&1e6), "{times:?}");
    let count = |kind| steps.iter().filter(|step| step["ph"] == kind).count();
    assert_eq!([count("B"), count("E")], [2, 2], "each host starts and ends: {json}");
    assert!(steps.iter().any(|step| step["args"]["detail"] == "1024 bytes on #1"), "{json}");
}

#[test]
fn bulk_takes_as_long_as_the_link_needs() {
    let mut sim = Sim::new(5);
    sim.links(Link::new(Duration::from_millis(1)).bandwidth(10_000_000));
    sim.host("server", || async {
        let listener = Async::<TcpListener>::bind("0.0.0.0:80")?;
        let (stream, _) = listener.accept().await?;
        futures::io::copy(stream, &mut futures::io::sink()).await
    });
    let client = sim.host("client", || async {
        let mut stream = Async::<TcpStream>::connect("server:80").await?;
        stream.write_all(&vec![0; 20_000_000]).await?;
        stream.close().await
    });
    assert!(sim.run_until_ended(client, HOUR));
    let seconds = sim.now().as_secs_f64();
    assert!((1.9..2.5).contains(&seconds), "{seconds}");
}

#[test]
fn work_that_blocks_needs_no_thread_and_keeps_its_promise() {
    let mut sim = Sim::new(6);
    let host = sim.host("host", || async {
        let before = selkie::time::now();
        let text = selkie::unblock(|| std::fs::read_to_string("/proc/self/comm")).await?;
        assert!(!text.is_empty());
        assert_eq!(selkie::time::now(), before);
        io::Result::Ok(())
    });
    assert!(sim.run_until_ended(host, HOUR));
}
