//! One connection to one of several addresses: some refuse, some hang, some answer at once.

use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::time::{Duration, Instant};

use selkie::Async;
use selkie::net::{self, ConnectError};
use socket2::{Domain, Socket, Type};

use crate::alone::alone;
use crate::liar;
use crate::util::sockets::{full_listener, nobody_listens};
use crate::util::{DEADLINE, Stepped, Watcher, open_descriptors, run};

/// As long as an attempt is alone, by RFC 8305.
const STAGGER: Duration = Duration::from_millis(250);

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn listens(ip: impl Into<std::net::IpAddr>) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((ip.into(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn has_ipv6() -> bool {
    let has = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        println!("skipped: this system has no IPv6");
    }
    has
}

fn inner(error: &io::Error) -> &ConnectError {
    error.get_ref().and_then(|error| error.downcast_ref()).expect("several attempts")
}

/// The result, and how many timers were due by then.
fn connect(addresses: &[SocketAddr]) -> (io::Result<Async<TcpStream>>, usize) {
    let stepped = Stepped::new();
    let watcher = Watcher::new();
    let mut connect = pin!(Async::<TcpStream>::connect(addresses));
    let mut timers = 0;
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        if let std::task::Poll::Ready(result) = stepped.poll(connect.as_mut(), &watcher) {
            return (result, timers);
        }
        timers += stepped.turn(Some(DEADLINE)).unwrap().timers;
    }
    panic!("neither a connection nor an error within {DEADLINE:?}");
}

#[test]
fn the_first_address_is_taken_if_it_answers() {
    let ((_one, first), (_other, second)) = (listens(LOCALHOST), listens(LOCALHOST));
    let (stream, timers) = connect(&[first, second]);
    assert_eq!((stream.unwrap().get_ref().peer_addr().unwrap(), timers), (first, 0));
}

#[test]
fn a_failure_starts_the_next_attempt_at_once() {
    let _quiet = liar::only_hidden_lies("a turn that ends early may make a timer due");
    let (_socket, refuses) = nobody_listens(LOCALHOST);
    let (_other, refuses_too) = nobody_listens(LOCALHOST);
    let (_listener, answers) = listens(LOCALHOST);
    let (stream, timers) = connect(&[refuses, refuses_too, answers]);
    assert_eq!((stream.unwrap().get_ref().peer_addr().unwrap(), timers), (answers, 0));
}

#[test]
fn an_attempt_that_hangs_holds_the_next_one_up_for_a_quarter_of_a_second() {
    let (hangs, _first) = full_listener(LOCALHOST);
    let (_listener, answers) = listens(LOCALHOST);
    let start = Instant::now();
    let (stream, timers) = connect(&[hangs.local_addr().unwrap(), answers]);
    assert_eq!((stream.unwrap().get_ref().peer_addr().unwrap(), timers), (answers, 1));
    assert!(start.elapsed() >= STAGGER, "not a stagger, but {:?}", start.elapsed());
}

#[test]
fn a_failure_beside_an_attempt_that_hangs_does_not_wait_for_the_clock() {
    let _quiet = liar::only_hidden_lies("a turn that ends early may make a timer due");
    let (hangs, _first) = full_listener(LOCALHOST);
    let (_socket, refuses) = nobody_listens(LOCALHOST);
    let (_listener, answers) = listens(LOCALHOST);
    let (stream, timers) = connect(&[hangs.local_addr().unwrap(), refuses, answers]);
    // One for the second attempt. The third begins because that one fails.
    assert_eq!((stream.unwrap().get_ref().peer_addr().unwrap(), timers), (answers, 1));
}

#[test]
fn ipv6_and_ipv4_take_turns() {
    if !has_ipv6() {
        return;
    }
    run(async || {
        let sixes = [(); 3].map(|()| nobody_listens(Ipv6Addr::LOCALHOST));
        let fours = [(); 2].map(|()| nobody_listens(LOCALHOST));
        let [six, other_six, third_six] = sixes.each_ref().map(|(_, address)| *address);
        let [four, other_four] = fours.each_ref().map(|(_, address)| *address);
        let addresses = [six, other_six, third_six, four, other_four];
        let error = Async::<TcpStream>::connect(addresses).await.unwrap_err();
        let tried: Vec<_> = inner(&error).attempts().map(|(address, _)| address).collect();
        assert_eq!(tried, [six, four, other_six, other_four, third_six]);

        // As a host whose IPv6 is broken and whose IPv4 is not.
        let (_listener, answers) = listens(LOCALHOST);
        let addresses = [six, other_six, third_six, answers];
        let stream = Async::<TcpStream>::connect(addresses).await.unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap(), answers);
        let (_listener, answers) = listens(Ipv6Addr::LOCALHOST);
        let stream = Async::<TcpStream>::connect([four, answers]).await.unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap(), answers);
    });
}

#[test]
fn the_errors_of_all_attempts_are_told_together() {
    run(async || {
        let (_socket, first) = nobody_listens(LOCALHOST);
        // A broadcast address is a third kind of failure: it is refused by the system itself.
        let broadcast = SocketAddr::from(([255, 255, 255, 255], 9));
        let error = Async::<TcpStream>::connect([broadcast, first]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let attempts: Vec<_> = inner(&error).attempts().collect();
        assert_eq!([attempts[0].0, attempts[1].0], [broadcast, first]);
        let [one, other] = [0, 1].map(|index| attempts[index].1.unwrap());
        assert_eq!(other.kind(), ErrorKind::ConnectionRefused);
        assert_ne!(one.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(
            error.to_string(),
            format!("cannot connect to {broadcast}, {first}: {broadcast}: {one}; {first}: {other}")
        );
    });
}

#[test]
fn one_address_fails_with_the_error_of_the_system_itself() {
    run(async || {
        let (_socket, refuses) = nobody_listens(LOCALHOST);
        for error in [
            Async::<TcpStream>::connect(refuses).await.unwrap_err(),
            Async::<TcpStream>::connect([refuses]).await.unwrap_err(),
            Async::<TcpStream>::connect(refuses.to_string()).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            assert!(error.raw_os_error().is_some(), "{error:?}");
        }
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        for error in [
            Async::<TcpStream>::connect([]).await.unwrap_err(),
            Async::<TcpStream>::connect_timeout([], STAGGER).await.unwrap_err(),
            net::connect_from(socket, []).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(
                error.to_string(),
                "the list of addresses to connect to is empty; give one at least"
            );
        }
    });
}

#[test]
fn a_timeout_tells_what_has_failed_and_what_has_not_answered() {
    run(async || {
        let (hangs, _first) = full_listener(LOCALHOST);
        let hangs = hangs.local_addr().unwrap();
        let (_socket, refuses) = nobody_listens(LOCALHOST);
        let limit = Duration::from_millis(50);
        let error = Async::<TcpStream>::connect_timeout([refuses, hangs], limit).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let attempts: Vec<_> = inner(&error).attempts().collect();
        assert_eq!(attempts[0].1.unwrap().kind(), ErrorKind::ConnectionRefused);
        assert!(attempts[1].1.is_none());
        let refused = attempts[0].1.unwrap();
        assert_eq!(
            error.to_string(),
            format!(
                "no connection to {refuses}, {hangs} within 50ms: {refuses}: {refused}; {hangs}: no \
                 answer yet"
            )
        );
        let error = Async::<TcpStream>::connect_timeout(hangs, limit).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), format!("no connection to {hangs} within 50ms"));
        let (_listener, answers) = listens(LOCALHOST);
        Async::<TcpStream>::connect_timeout(answers, DEADLINE).await.unwrap();
    });
}

#[test]
fn the_sockets_of_attempts_that_did_not_win_are_closed() {
    alone(|| {
        run(async || {
            let (hangs, _first) = full_listener(LOCALHOST);
            let hangs = hangs.local_addr().unwrap();
            let (_socket, refuses) = nobody_listens(LOCALHOST);
            let (_listener, answers) = listens(LOCALHOST);
            let before = open_descriptors();
            let stream = Async::<TcpStream>::connect([hangs, refuses, answers]).await.unwrap();
            assert_eq!(open_descriptors(), before + 1, "the winner");
            drop(stream);
            let limit = Duration::from_millis(1);
            let addresses = [hangs, refuses];
            Async::<TcpStream>::connect_timeout(addresses, limit).await.unwrap_err();
            Async::<TcpStream>::connect([refuses; 2]).await.unwrap_err();
            assert_eq!(open_descriptors(), before);
        });
    });
}

/// Both connections are made while the loop looks elsewhere, so one turn finds both.
#[test]
fn of_two_that_succeed_at_once_one_is_returned_and_the_other_closed() {
    alone(|| {
        let _quiet = liar::only_hidden_lies("an event that is held back makes it the second");
        let stepped = Stepped::new();
        let hanging = [(); 2].map(|()| full_listener(LOCALHOST));
        let addresses = hanging.each_ref().map(|(listener, _)| listener.local_addr().unwrap());
        let before = open_descriptors();
        let watcher = Watcher::new();
        let mut connect = pin!(Async::<TcpStream>::connect(addresses));
        stepped.until("both have begun", || {
            assert!(stepped.poll(connect.as_mut(), &watcher).is_pending());
            open_descriptors() == before + 2
        });
        let accepted = hanging.each_ref().map(|(listener, _)| {
            listener.accept().unwrap();
            // The system knocks again after a second.
            listener.accept().unwrap().0
        });
        let stream = stepped.finish(connect.as_mut(), &watcher).unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap(), addresses[0], "the older one");
        assert_eq!(open_descriptors(), before + accepted.len() + 1, "the winner");
        let [_, mut loser] = accepted;
        assert_eq!(loser.read(&mut [0]).unwrap(), 0, "it was closed");
    });
}

#[test]
fn a_hundred_addresses_that_refuse_are_all_tried_and_told_without_waiting_for_the_clock() {
    let _quiet = liar::only_hidden_lies("a turn that ends early may make a timer due");
    let refusing: Vec<_> = (0..100).map(|_| nobody_listens(LOCALHOST)).collect();
    let mut addresses: Vec<_> = refusing.iter().map(|(_, address)| *address).collect();
    let (error, timers) = connect(&addresses);
    let error = error.unwrap_err();
    assert_eq!((error.kind(), timers), (ErrorKind::ConnectionRefused, 0));
    let tried: Vec<_> = inner(&error).attempts().map(|(address, _)| address).collect();
    assert_eq!(tried, addresses);
    let (_listener, answers) = listens(LOCALHOST);
    addresses.push(answers);
    let (stream, timers) = connect(&addresses);
    assert_eq!((stream.unwrap().get_ref().peer_addr().unwrap(), timers), (answers, 0));
}
