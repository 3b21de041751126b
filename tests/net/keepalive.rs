//! Keep-alive: its times are those that were asked for, rounded up to whole seconds.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use selkie::Async;
use selkie::net::{self, Keepalive};

use crate::util::{async_tcp_pair, run};

#[test]
fn keepalive_is_off_until_it_is_set_and_can_be_switched_off_again() {
    run(async || {
        let (near, _far) = async_tcp_pair();
        assert_eq!(near.keepalive().unwrap(), None);
        let keepalive = Keepalive::after(Duration::from_millis(1_500))
            .interval(Duration::from_secs(3))
            .probes(4);
        near.set_keepalive(Some(keepalive)).unwrap();
        let set =
            Keepalive::after(Duration::from_secs(2)).interval(Duration::from_secs(3)).probes(4);
        assert_eq!(near.keepalive().unwrap(), Some(set));
        near.set_keepalive(None).unwrap();
        assert_eq!(near.keepalive().unwrap(), None);
        // What is not said stays as it was.
        near.set_keepalive(Some(Keepalive::new())).unwrap();
        assert_eq!(near.keepalive().unwrap(), Some(set));
    });
}

#[test]
fn a_keepalive_of_no_time_is_refused_by_the_system() {
    run(async || {
        let (near, _far) = async_tcp_pair();
        for keepalive in [Keepalive::after(Duration::ZERO), Keepalive::new().probes(0)] {
            let error = near.set_keepalive(Some(keepalive)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn accepted_connections_inherit_the_keepalive_of_their_listener() {
    run(async || {
        let keepalive =
            Keepalive::after(Duration::from_secs(9)).interval(Duration::from_secs(8)).probes(7);
        let listener = net::listen("127.0.0.1:0").keepalive(keepalive).bind().unwrap();
        let address = listener.get_ref().local_addr().unwrap();
        let _client = TcpStream::connect(address).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert_eq!(stream.keepalive().unwrap(), Some(keepalive));
        let _client = Async::<TcpStream>::connect(address).await.unwrap();
        assert_eq!(_client.keepalive().unwrap(), None);
    });
}
