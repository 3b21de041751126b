//! `incoming()` when the process is out of descriptors. Each test has a process of its own, whose
//! limit it lowers.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::io::copy;
use futures::{FutureExt, StreamExt};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};
use selkie::{Async, Task};

use crate::child::{self, role};
use crate::connect::socket_path;
use crate::util::{Stepped, child, run, thread_cpu_time};

/// Connections that come, and those of them that there are descriptors for at first.
const CLIENTS: usize = 10;
const SERVED: usize = 4;

/// From here on only `count` more descriptors can be opened.
fn leave_descriptors(count: usize) {
    // The system gives out the lowest numbers, and those in use may have gaps.
    let open = || std::fs::File::open("/dev/null").unwrap();
    let taken: Vec<_> = std::iter::repeat_with(open).take(count + 1).collect();
    let limit = taken[count].as_raw_fd().try_into().unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
}

fn is_exhaustion(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::MFILE.raw_os_error())
}

/// What a server that echoes has seen.
#[derive(Default)]
struct Log {
    accepted: Cell<usize>,
    errors: RefCell<Vec<io::Error>>,
}

async fn serve(listener: Async<TcpListener>, log: Rc<Log>) {
    let mut incoming = listener.incoming();
    while let Some(next) = incoming.next().await {
        match next {
            Ok((stream, _)) => {
                log.accepted.set(log.accepted.get() + 1);
                selkie::spawn(async move { copy(&stream, &mut &stream).await }).detach();
            }
            Err(error) => log.errors.borrow_mut().push(error),
        }
    }
}

fn echo(stepped: &Stepped, client: &mut TcpStream) {
    client.set_nonblocking(true).unwrap();
    client.write_all(b"hello").unwrap();
    let mut buf = [0; 8];
    stepped.until("the echo comes", || client.read(&mut buf).is_ok_and(|len| len == 5));
    assert_eq!(&buf[..5], b"hello");
}

#[test]
fn a_server_out_of_descriptors_serves_on_says_so_once_and_recovers() {
    const NAME: &str = "incoming::a_server_out_of_descriptors_serves_on_says_so_once_and_recovers";
    if role().is_none() {
        child::run(&mut child(NAME, "serve"));
        return;
    }
    let stepped = Stepped::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect(address).unwrap()).collect();
    let log = Rc::new(Log::default());
    let listener = stepped.enter(|| Async::new(listener).unwrap());
    leave_descriptors(SERVED);
    let _server: Task<()> = stepped.spawn(serve(listener, Rc::clone(&log)));

    stepped.until("there are no more descriptors", || !log.errors.borrow().is_empty());
    assert!(is_exhaustion(&log.errors.borrow()[0]), "{:?}", log.errors.borrow());
    assert_eq!(log.accepted.get(), SERVED);

    // Several rests later: those that are served are not disturbed, and nothing spins.
    let (start, worked, mut turns) = (Instant::now(), thread_cpu_time(), 0);
    while start.elapsed() < Duration::from_millis(350) {
        stepped.turn(Some(Duration::from_millis(350))).unwrap();
        turns += 1;
    }
    echo(&stepped, &mut clients[0]);
    let worked = thread_cpu_time() - worked;
    assert!(turns < 20 && worked < Duration::from_millis(100), "{turns} turns, {worked:?}");
    assert_eq!((log.accepted.get(), log.errors.borrow().len()), (SERVED, 1));

    // One goes, its descriptors are free, and another one is accepted. Nobody has to do anything.
    drop(clients.remove(1));
    stepped.until("the next one is accepted", || log.accepted.get() > SERVED);
    echo(&stepped, &mut clients[SERVED - 1]);
    clients.clear();
    stepped.until("all were accepted", || log.accepted.get() == CLIENTS);
    assert!(log.errors.borrow().iter().all(is_exhaustion));
}

#[test]
fn a_unix_server_out_of_descriptors_recovers_too() {
    const NAME: &str = "incoming::a_unix_server_out_of_descriptors_recovers_too";
    if role().is_none() {
        child::run(&mut child(NAME, "serve"));
        return;
    }
    run(async || {
        let path = socket_path("incoming");
        let listener = Async::<UnixListener>::bind(&path).unwrap();
        let clients = [(); 3].map(|()| UnixStream::connect(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        leave_descriptors(1);
        let mut incoming = listener.incoming();
        let first = incoming.next().await.unwrap().unwrap();
        assert!(is_exhaustion(&incoming.next().await.unwrap().unwrap_err()));
        drop(clients);
        incoming.next().await.unwrap().unwrap();
        incoming.next().await.unwrap().unwrap();
        drop(first);
    });
}

#[test]
fn what_needs_a_descriptor_fails_without_one_and_works_again_later() {
    const NAME: &str = "incoming::what_needs_a_descriptor_fails_without_one_and_works_again_later";
    if role().is_none() {
        child::run(&mut child(NAME, "serve"));
        return;
    }
    run(async || {
        let address = (Ipv4Addr::LOCALHOST, 0);
        let listener = Async::<TcpListener>::bind(address).unwrap();
        let to = listener.get_ref().local_addr().unwrap();
        let spare = TcpStream::connect(to).unwrap();
        leave_descriptors(0);
        for _ in 0..3 {
            assert!(is_exhaustion(&listener.accept().await.unwrap_err()));
            assert!(is_exhaustion(&Async::<TcpListener>::bind(address).unwrap_err()));
            assert!(is_exhaustion(&Async::<TcpStream>::connect(to).await.unwrap_err()));
            assert!(is_exhaustion(&Async::<UnixStream>::pair().unwrap_err()));
        }
        drop(spare);
        listener.accept().await.unwrap();
    });
}

#[test]
fn an_error_that_is_no_want_of_descriptors_is_yielded_each_time_and_at_once() {
    let stepped = Stepped::new();
    let listener = stepped.enter(|| Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    // Linux refuses to accept then.
    shutdown(listener.get_ref(), Shutdown::Both).unwrap();
    let mut incoming = listener.incoming();
    assert_eq!(format!("{incoming:?}"), "Incoming { is_paused: false, .. }");
    for _ in 0..3 {
        let next = stepped.enter(|| incoming.next().now_or_never());
        let error = next.flatten().expect("it does not wait").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::INVAL.raw_os_error()));
    }
}

#[test]
fn each_want_of_descriptors_is_told_once_also_after_one_that_is_over() {
    const NAME: &str =
        "incoming::each_want_of_descriptors_is_told_once_also_after_one_that_is_over";
    if role().is_none() {
        child::run(&mut child(NAME, "alone"));
        return;
    }
    run(async || {
        let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = listener.local_addr().unwrap();
        let mut incoming = listener.incoming();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        for _ in 0..2 {
            let _waits = TcpStream::connect(to).unwrap();
            leave_descriptors(0);
            assert!(is_exhaustion(&incoming.next().await.unwrap().unwrap_err()));
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
            let (accepted, _) = incoming.next().await.unwrap().unwrap();
            drop(accepted);
        }
    });
}
