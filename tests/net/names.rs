//! Hosts' names, which are looked up, and IP addresses, which are not.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use selkie::Async;
use selkie::net::{self, ConnectError};

use crate::alone::{alone, thread_names};
use crate::util::run;
use crate::util::sockets::nobody_listens;

#[test]
fn an_ip_address_needs_no_thread_however_it_is_written() {
    alone(|| {
        run(async || {
            let before = thread_names();
            let listener = Async::<TcpListener>::bind("127.0.0.1:0").unwrap();
            let address = listener.get_ref().local_addr().unwrap();
            for _ in 0..2 {
                Async::<TcpStream>::connect(address.to_string()).await.unwrap();
                Async::<TcpStream>::connect(("127.0.0.1", address.port())).await.unwrap();
                Async::<TcpStream>::connect((Ipv4Addr::LOCALHOST, address.port())).await.unwrap();
                Async::<TcpStream>::connect([address, address]).await.unwrap();
            }
            assert_eq!(thread_names(), before);
        });
    });
}

/// A label of more than 63 bytes: no name server is asked.
fn impossible_name() -> String {
    format!("{}.invalid", "x".repeat(64))
}

#[test]
fn a_host_is_connected_to_by_its_name() {
    run(async || {
        // Has no listener on ::1, so that the other address has to be tried, too, where
        // localhost has both.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let name = format!("localhost:{}", address.port());
        let stream = Async::<TcpStream>::connect(name).await.unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap(), address);
        let stream = Async::<TcpStream>::connect(("localhost", address.port())).await.unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap(), address);
        let limit = Duration::from_secs(5);
        let name = ("localhost", address.port());
        Async::<TcpStream>::connect_timeout(name, limit).await.unwrap();
    });
}

#[test]
fn a_host_that_refuses_is_named_with_its_addresses() {
    run(async || {
        let (_socket, address) = nobody_listens(Ipv4Addr::LOCALHOST);
        let name = ("localhost", address.port());
        let error = Async::<TcpStream>::connect(name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let port = address.port();
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot connect to localhost:{port}: ")), "{text}");
        assert!(text.contains(&format!("{address}: Connection refused")), "{text}");
        let error = error.get_ref().unwrap().downcast_ref::<ConnectError>().unwrap();
        assert!(error.attempts().any(|(tried, _)| tried == address));
    });
}

#[test]
fn an_unknown_host_is_not_found() {
    run(async || {
        let name = impossible_name();
        for error in [
            Async::<TcpStream>::connect((name.as_str(), 443)).await.unwrap_err(),
            net::resolve((name.as_str(), 443)).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let text = error.to_string();
            let beginning = format!("no address was found for the host \"{name}\": ");
            let reason = text.strip_prefix(&beginning).unwrap_or_else(|| panic!("{text}"));
            assert!(!reason.is_empty() && !reason.contains("lookup"), "{reason}");
        }
    });
}

#[test]
fn resolve_tells_the_addresses() {
    run(async || {
        let addresses = net::resolve("localhost:443").await.unwrap();
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(|a| a.ip().is_loopback() && a.port() == 443));
        let literal = net::resolve("127.0.0.1:80").await.unwrap();
        assert_eq!(literal, [SocketAddr::from(([127, 0, 0, 1], 80))]);
    });
}

#[test]
fn lookups_run_on_threads_of_the_pool_only() {
    alone(|| {
        run(async || {
            let before = thread_names();
            net::resolve("localhost:443").await.unwrap();
            let mut after = thread_names();
            let is_of_the_pool = |name: &str| name == "selkie-blocking";
            assert_eq!(after.iter().filter(|name| is_of_the_pool(name)).count(), 1);
            after.retain(|name| !is_of_the_pool(name));
            assert_eq!(after, before);
        });
    });
}

#[test]
fn a_name_without_a_thread_to_look_it_up_says_so() {
    alone(|| {
        run(async || {
            use nix::sys::resource::{Resource, getrlimit, setrlimit};
            let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
            setrlimit(Resource::RLIMIT_AS, 1, hard).unwrap(); // There is no room for a stack.
            let connect = Async::<TcpStream>::connect("localhost:443").await;
            setrlimit(Resource::RLIMIT_AS, hard, hard).unwrap();
            let text = connect.unwrap_err().to_string();
            let beginning = "the host \"localhost\" cannot be looked up, as that needs a thread: ";
            assert!(text.starts_with(beginning) && text.contains("`ulimit -u`"), "{text}");
            assert!(!net::resolve("localhost:443").await.unwrap().is_empty());
        });
    });
}

#[test]
fn many_lookups_at_once_need_no_more_threads_than_the_pool_has() {
    alone(|| {
        run(async || {
            let lookups = (0..100).map(|port| net::resolve(("localhost", port)));
            let found = futures::future::try_join_all(lookups).await.unwrap();
            assert!(found.iter().enumerate().all(|(port, found)| {
                found.iter().all(|address| usize::from(address.port()) == port)
            }));
            let pool = thread_names().iter().filter(|name| *name == "selkie-blocking").count();
            assert!((1..=8).contains(&pool), "{pool} threads");
        });
    });
}

#[test]
fn the_timeout_covers_the_lookup() {
    run(async || {
        // The whole pool is busy, so that the lookup cannot begin.
        let jobs: Vec<_> = (0..8)
            .map(|_| {
                let (go_on, wait) = mpsc::channel::<()>();
                (go_on, selkie::unblock(move || wait.recv()))
            })
            .collect();
        let limit = Duration::from_millis(20);
        let connect = Async::<TcpStream>::connect_timeout("localhost:443", limit);
        let error = connect.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(
            error.to_string(),
            "no connection to localhost:443 within 20ms: the name is still being looked up"
        );
        drop(jobs);
    });
}
