//! Threads of a process that runs a selkie and one of these crates. Each test has a process of its
//! own: one thread is the test's, and one the harness's.

use std::convert::Infallible;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use futures::StreamExt;
use http_body_util::Empty;
use hyper::body::Bytes;
use selkie::Async;

use crate::alone::alone;

/// The names of the threads that came while `f` ran in a selkie; one of them is, soon, `expected`.
fn new_threads<T>(expected: Option<&str>, f: impl AsyncFnOnce() -> T) -> Vec<String> {
    let before = names();
    selkie::block_on(async {
        let _value = f().await;
        let patience = Instant::now() + Duration::from_secs(10);
        loop {
            let mut after = names();
            for name in &before {
                after.remove(after.iter().position(|other| other == name).unwrap());
            }
            // A thread gives itself its name, a moment after it was started.
            let is_there = |expected| after.iter().any(|name| name == expected);
            if expected.is_none_or(is_there) {
                return after;
            }
            assert!(Instant::now() < patience, "{expected:?} is none of {after:?}");
            selkie::sleep(Duration::from_millis(1)).await;
        }
    })
}

fn names() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // One may have ended since.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn what_needs_traits_alone_brings_no_thread() {
    alone(|| {
        let brought = new_threads(None, async || {
            let (sender, receiver) = async_channel::bounded(1);
            let (mut near, far) = Async::<std::os::unix::net::UnixStream>::pair().unwrap();
            let (sent, received) = futures::join!(sender.send(7), receiver.recv());
            sent.unwrap();
            assert_eq!(received.unwrap(), 7);
            futures::AsyncWriteExt::write_all(&mut near, b"hi").await.unwrap();
            selkie::time::sleep(Duration::from_millis(1)).await;
            far
        });
        assert_eq!(brought, [""; 0]);
    });
}

#[test]
fn no_feature_of_selkie_brings_a_thread_but_its_pool() {
    alone(|| {
        // With the features `record` and `tracing`, too: this runtime has its recorder, and spans.
        let brought = new_threads(None, async || {
            let mut signals = selkie::signal::Signals::new([selkie::signal::SIGUSR1]).unwrap();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1)
                .unwrap();
            signals.next().await.unwrap().unwrap();
            let echo = selkie::process::Command::new("echo").arg("hello").output().await.unwrap();
            assert_eq!(echo.stdout, b"hello\n");
            request().await;
            let recording = selkie::inspect::recording();
            assert!(recording.entries().count() > 0);
            (signals, selkie::io::stdin().unwrap(), selkie::io::stdout().unwrap())
        });
        assert_eq!(brought, [""; 0]);
        let brought = new_threads(Some("selkie-blocking"), async || {
            selkie::net::resolve("localhost:80").await.unwrap();
            selkie::unblock(|| 7).await
        });
        assert_eq!(brought, ["selkie-blocking"]);
    });
}

/// A request of hyper's client to hyper's server, over an address that needs no lookup.
async fn request() {
    let listener = Async::<TcpListener>::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _server = selkie::spawn(async move {
        let (stream, _peer) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(async |_| {
            Ok::<_, Infallible>(hyper::Response::new(Empty::<Bytes>::new()))
        });
        let mut server = hyper::server::conn::http1::Builder::new();
        server.timer(selkie::hyper::Timer).serve_connection(stream, service).await.unwrap();
    });
    let stream = Async::<TcpStream>::connect(address.to_string()).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let _connection = selkie::spawn(connection);
    let request = hyper::Request::get("/").header("host", "here").body(Empty::<Bytes>::new());
    assert!(client.send_request(request.unwrap()).await.unwrap().status().is_success());
}

#[test]
fn async_io_brings_its_thread_with_the_first_timer() {
    alone(|| {
        let brought = new_threads(Some("async-io"), async || {
            async_io::Timer::after(Duration::from_millis(1)).await
        });
        assert_eq!(brought, ["async-io"]);
    });
}

#[test]
fn async_signal_brings_the_thread_of_async_io() {
    alone(|| {
        let brought = new_threads(Some("async-io"), async || {
            let mut signals = async_signal::Signals::new([async_signal::Signal::Usr1]).unwrap();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1)
                .unwrap();
            signals.next().await.unwrap().unwrap();
        });
        assert!(!brought.is_empty());
    });
}

#[test]
fn async_process_brings_a_thread_for_children_and_that_of_async_io() {
    alone(|| {
        let brought = new_threads(Some("async-process"), async || {
            let mut child = async_process::Command::new("true").spawn().unwrap();
            assert!(child.status().await.unwrap().success());
        });
        assert_eq!(brought.len(), 2, "{brought:?}");
    });
}

#[test]
fn blocking_brings_a_thread_for_its_work() {
    alone(|| {
        let brought = new_threads(Some("blocking-1"), async || blocking::unblock(|| 7).await);
        assert_eq!(brought, ["blocking-1"]);
    });
}
