//! `Async<TcpListener>` and `Async<TcpStream>`.

use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use futures::{StreamExt, TryStreamExt};
use rustix::io::{FdFlags, fcntl_getfd};
use selkie::{Async, yield_now};

use crate::child::{self, role};
use crate::util::{async_tcp_pair, child, is_nonblocking, run};

fn listener() -> Async<TcpListener> {
    Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

fn connect_to(listener: &Async<TcpListener>) -> TcpStream {
    TcpStream::connect(listener.get_ref().local_addr().unwrap()).unwrap()
}

#[test]
fn bind_takes_an_address_that_is_in_use_for_an_error() {
    run(async || {
        let listener = listener();
        let address = listener.get_ref().local_addr().unwrap();
        assert_ne!(address.port(), 0);
        let error = Async::<TcpListener>::bind(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn an_address_that_was_just_left_can_be_bound_again() {
    run(async || {
        let old = listener();
        let address = old.get_ref().local_addr().unwrap();
        let far = connect_to(&old);
        let (mut accepted, _) = old.accept().await.unwrap();
        // Closing first leaves this end in TIME_WAIT.
        accepted.close().await.unwrap();
        drop((accepted, far, old));
        Async::<TcpListener>::bind(address).unwrap();
    });
}

#[test]
fn a_burst_of_connections_is_kept_until_it_is_accepted() {
    run(async || {
        const BURST: usize = 500;
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let burst = BURST.min(most.trim().parse().unwrap());
        let listener = listener();
        let address = listener.get_ref().local_addr().unwrap();
        // One that is dropped tries again after a second, which is too late.
        let soon = Duration::from_millis(900);
        let connect = |_| TcpStream::connect_timeout(&address, soon).unwrap();
        let far: Vec<_> = (0..burst).map(connect).collect();
        let accepted: Vec<_> = listener.incoming().take(burst).try_collect().await.unwrap();
        assert_eq!(accepted.len(), far.len());
    });
}

#[test]
fn accept_waits_and_tells_who_came() {
    run(async || {
        let listener = listener();
        let connect = async {
            yield_now().await;
            connect_to(&listener)
        };
        let (accepted, mut far) = futures::join!(listener.accept(), connect);
        let (mut accepted, peer) = accepted.unwrap();
        assert_eq!(peer, far.local_addr().unwrap());
        far.write_all(b"hello").unwrap();
        assert_eq!(accepted.read(&mut [0; 8]).await.unwrap(), 5);
    });
}

#[test]
fn a_peer_over_ipv6_has_its_address_too() {
    run(async || {
        let Ok(listener) = Async::<TcpListener>::bind((Ipv6Addr::LOCALHOST, 0)) else {
            println!("skipped: this system has no IPv6");
            return;
        };
        let far = connect_to(&listener);
        let (_accepted, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, far.local_addr().unwrap());
    });
}

#[test]
fn connections_that_came_in_one_event_are_all_accepted() {
    run(async || {
        let listener = listener();
        let connect = async {
            yield_now().await;
            (0..20).map(|_| connect_to(&listener)).collect::<Vec<_>>()
        };
        let accept = listener.incoming().take(20).try_collect::<Vec<_>>();
        let (accepted, far) = futures::join!(accept, connect);
        let mut peers: Vec<_> = accepted.unwrap().iter().map(|(_, peer)| *peer).collect();
        let mut locals: Vec<_> = far.iter().map(|far| far.local_addr().unwrap()).collect();
        peers.sort();
        locals.sort();
        assert_eq!(peers, locals);
    });
}

#[test]
fn poll_accept_serves_hand_written_futures() {
    run(async || {
        let listener = listener();
        let connect = async {
            yield_now().await;
            connect_to(&listener)
        };
        let (accepted, far) = futures::join!(poll_fn(|cx| listener.poll_accept(cx)), connect);
        assert_eq!(accepted.unwrap().1, far.local_addr().unwrap());
    });
}

#[test]
fn an_accepted_socket_neither_blocks_nor_is_inherited() {
    run(async || {
        let listener = listener();
        let _far = [connect_to(&listener), connect_to(&listener)];
        let (one, _) = listener.accept().await.unwrap();
        let (other, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        for accepted in [one, other] {
            assert!(is_nonblocking(&accepted));
            assert_eq!(fcntl_getfd(&accepted).unwrap(), FdFlags::CLOEXEC);
        }
    });
}

#[test]
fn a_connection_is_accepted_by_one_system_call() {
    const NAME: &str = "tcp::a_connection_is_accepted_by_one_system_call";
    const CONNECTIONS: usize = 100;
    if role().is_some() {
        run(async || {
            let listener = listener();
            for _ in 0..CONNECTIONS {
                let _far = connect_to(&listener);
                listener.accept().await.unwrap();
            }
        });
        return;
    }
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "strace is needed here; install it");
        println!("skipped: there is no strace on this system");
        return;
    }
    let inner = child(NAME, "accept");
    let log = std::env::temp_dir().join(format!("selkie-strace-{}", std::process::id()));
    let mut traced = Command::new("strace");
    traced.args(["-f", "-e", "trace=accept,accept4,fcntl,ioctl,getpeername", "-o"]).arg(&log);
    traced.arg(inner.get_program()).args(inner.get_args());
    traced.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    child::run(&mut traced);
    let trace = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let flags = "SOCK_CLOEXEC|SOCK_NONBLOCK) = ";
    let made = trace.lines().filter(|line| line.contains("accept4(") && line.contains(flags));
    assert_eq!(made.filter(|line| !line.contains("EAGAIN")).count(), CONNECTIONS, "{trace}");
    let others = ["F_SETFL", "F_SETFD", "FIONBIO", "getpeername"];
    let more = trace.lines().filter(|line| others.iter().any(|other| line.contains(other)));
    assert_eq!(more.count(), 0, "something was set or asked for separately: {trace}");
}

#[test]
fn peek_leaves_the_bytes_where_they_are() {
    run(async || {
        let (mut one, mut other) = async_tcp_pair();
        let mut buf = [0; 8];
        let write = async {
            yield_now().await;
            other.write_all(b"hello").await.unwrap();
        };
        let (len, ()) = futures::join!(one.peek(&mut buf), write);
        assert_eq!((len.unwrap(), &buf[..5]), (5, &b"hello"[..]));
        assert_eq!(one.peek(&mut buf[..2]).await.unwrap(), 2);
        assert_eq!(one.read(&mut buf).await.unwrap(), 5);
        other.close().await.unwrap();
        assert_eq!(one.peek(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn shutdown_of_the_write_side_is_the_end_for_the_peer() {
    run(async || {
        let (mut one, mut other) = async_tcp_pair();
        one.write_all(b"bye").await.unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        other.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "bye");
        other.write_all(b"bye too").await.unwrap();
        assert_eq!(one.read(&mut [0; 8]).await.unwrap(), 7);
    });
}

#[test]
fn shutdown_of_the_read_side_ends_a_read_that_waits() {
    run(async || {
        let (one, _other) = async_tcp_pair();
        let mut buf = [0; 8];
        let mut reader = &one;
        let go = async {
            yield_now().await;
            one.shutdown(Shutdown::Read).unwrap();
        };
        let (len, ()) = futures::join!(reader.read(&mut buf), go);
        assert_eq!(len.unwrap(), 0);
    });
}

#[test]
fn nodelay_can_be_set_and_asked_for() {
    run(async || {
        let (one, _other) = async_tcp_pair();
        assert!(!one.nodelay().unwrap());
        one.set_nodelay(true).unwrap();
        assert!(one.nodelay().unwrap());
        one.set_nodelay(false).unwrap();
        assert!(!one.nodelay().unwrap());
    });
}

#[test]
fn a_stream_that_is_taken_out_works_on_without_the_runtime() {
    run(async || {
        let (one, mut other) = async_tcp_pair();
        let mut one = one.into_inner().unwrap();
        other.write_all(b"hello").await.unwrap();
        one.read_exact(&mut [0; 5]).unwrap();
        let mut one = Async::try_from(one).unwrap();
        other.close().await.unwrap();
        assert_eq!(one.read(&mut [0; 8]).await.unwrap(), 0);
    });
}
