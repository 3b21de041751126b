//! As many connections as there are descriptors for, the server's and the clients' in a process
//! each. The clients are plain blocking sockets, so that nothing but the server is under test.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::resource::rlim_t;
use selkie::selector::BackendKind;
use selkie::sleep;
use socket2::SockRef;

use crate::child::role;
use crate::harness::{Log, bytes_of, echo_server, listener, memory, raise_limit, run, tell, until};
use crate::peer::{Master, Peer};
use crate::util::{backend, open_descriptors, thread_cpu_time};

loads! {
    as_many_connections_as_there_are_descriptors_echo_byte_for_byte,
}

/// Where the limit of descriptors is higher than is usual: a client's address has some 28,000
/// ports for one server.
const MOST: usize = 25_000;

/// On poll(2) and select(2), where every wait takes as long as there are connections, and so all of
/// them together the square of that.
const MOST_SCANNED: usize = 5_000;

/// Descriptors that are no connections, on either side. Generous.
const OTHERS: rlim_t = 40;

/// Clients that come at a time: fewer than the server's backlog, so that none has to knock twice.
const AT_THE_DOOR: usize = 2_000;

/// Times that each client sends a message.
const ROUNDS: usize = 2;

/// The server's buffer for a connection, and more than the longest message. Bytes.
const BUFFER: usize = 256;

fn crowd() -> usize {
    let allowed = usize::try_from(raise_limit() - OTHERS).unwrap_or(usize::MAX);
    match backend() {
        BackendKind::Poll | BackendKind::Select => allowed.min(MOST_SCANNED),
        _ => allowed.min(MOST),
    }
}

/// No two clients and no two rounds have the same message, nor do neighbours' have one length.
fn message(client: usize, round: usize) -> Vec<u8> {
    bytes_of(client as u64, round as u64 * 1_000, 1 + (client + 7 * round) % 200)
}

fn as_many_connections_as_there_are_descriptors_echo_byte_for_byte() {
    match role().as_deref() {
        Some("clients") => clients(),
        _ => run(server()),
    }
}

async fn server() {
    let count = crowd();
    let (listener, address) = listener();
    let log = Rc::new(Log::default());
    let _server = echo_server::<BUFFER>(listener, &log);
    let mut clients = Peer::start("clients", address);
    clients.expect("one is in").await;
    let (descriptors, before) = (open_descriptors(), memory());

    clients.say("come");
    clients.expect("all are in").await;
    assert_eq!((log.open.get(), open_descriptors()), (count, descriptors + count - 1));
    let each = (memory() - before) / (count - 1);
    // The future, with its buffer, and what this crate has for it: less than half a kilobyte.
    assert!(each < BUFFER + 1024, "{each} bytes for a connection");
    // Nobody says anything: that costs nothing, however many they are.
    let worked = thread_cpu_time();
    sleep(Duration::from_millis(300)).await;
    let worked = thread_cpu_time() - worked;
    assert!(worked < Duration::from_millis(100), "{worked:?} of work in 300 ms of silence");

    clients.say("talk");
    let echoed = clients.expect("echoed ").await;
    let expected: usize = (0..count)
        .flat_map(|client| (0..ROUNDS).map(move |round| message(client, round).len()))
        .sum();
    assert_eq!(echoed, expected.to_string());
    assert_eq!(log.bytes.get(), expected as u64);

    // The allocator may keep what they had; but a second crowd needs no more.
    let most = memory();
    clients.say("leave and come again");
    clients.expect("all are in again").await;
    until(|| log.open.get() == count).await;
    let grown = memory().saturating_sub(most);
    assert!(grown < 50 * count, "the second crowd took {grown} bytes more");

    clients.say("leave");
    clients.expect("all have left").await;
    clients.end().await;
    until(|| log.open.get() == 0).await;
    assert_eq!(log.accepted.get(), 2 * count);
    assert_eq!(log.finished.get(), 2 * count.div_ceil(10));
    assert_eq!(log.reset.get(), 2 * (count - count.div_ceil(10)));
    // Without that of the one, and the two pipes to the clients.
    assert_eq!(open_descriptors(), descriptors - 3);
    tell(format_args!(
        "{}: {count} connections at once, {expected} bytes echoed in {ROUNDS} rounds, {each} B of \
         memory each ({BUFFER} of them the buffer), {grown} B more in all for as many again",
        backend().name()
    ));
}

fn clients() {
    let mut master = Master::meet();
    let (mut clients, all) = (Vec::new(), crowd());
    let mut echoed = come_in(&master, &mut clients, 1);
    master.tell("one is in");
    master.expect("come");
    echoed += come_in(&master, &mut clients, all);
    master.tell("all are in");
    master.expect("talk");
    for round in 1..ROUNDS {
        say(&clients, 0, round);
        echoed += hear(&clients, 0, round);
    }
    master.tell(format_args!("echoed {echoed}"));
    master.expect("leave and come again");
    leave(clients.drain(..));
    come_in(&master, &mut clients, all);
    master.tell("all are in again");
    master.expect("leave");
    leave(clients.drain(..));
    master.tell("all have left");
}

/// Connects until there are `most` clients, each of which has had an echo. Returns how many bytes.
fn come_in(master: &Master, clients: &mut Vec<TcpStream>, most: usize) -> usize {
    let mut echoed = 0;
    while clients.len() < most {
        let first = clients.len();
        clients.extend((first..most.min(first + AT_THE_DOOR)).map(|_| master.connect()));
        say(&clients[first..], first, 0);
        echoed += hear(&clients[first..], first, 0);
    }
    echoed
}

fn say(clients: &[TcpStream], first: usize, round: usize) {
    for (number, mut client) in clients.iter().enumerate() {
        client.write_all(&message(first + number, round)).unwrap();
    }
}

/// Takes the echoes; returns how many bytes.
fn hear(clients: &[TcpStream], first: usize, round: usize) -> usize {
    let mut count = 0;
    for (number, mut client) in clients.iter().enumerate() {
        let expected = message(first + number, round);
        let mut echo = vec![0; expected.len()];
        client.read_exact(&mut echo).unwrap();
        assert!(echo == expected, "client {} got other bytes", first + number);
        count += echo.len();
    }
    count
}

/// One in ten says good-bye. All others go by a reset: a good-bye keeps a port busy for a minute,
/// and somebody else may need one.
fn leave(clients: impl Iterator<Item = TcpStream>) {
    for (number, mut client) in clients.enumerate() {
        if number % 10 == 0 {
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        } else {
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
}
