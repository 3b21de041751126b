//! Listeners that accept so many connections at once and no more.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::pin::pin;
use std::rc::Rc;
use std::thread;

use futures::StreamExt;
use selkie::Async;
use selkie::net::{self, Limited, LimitedListener};

use crate::alone::alone;
use crate::liar;
use crate::util::{Stepped, Watcher, run};

type Connection = Async<Limited<TcpStream>>;

/// A listener with a limit, and clients that are connected to it.
fn crowd(limit: usize, clients: usize) -> (LimitedListener<TcpListener>, Vec<TcpStream>) {
    let listener = net::listen("127.0.0.1:0").bind().unwrap().limit(limit);
    let address = listener.get_ref().get_ref().local_addr().unwrap();
    let clients = (0..clients).map(|_| TcpStream::connect(address).unwrap()).collect();
    (listener, clients)
}

#[test]
fn accept_waits_while_the_limit_is_reached_and_goes_on_when_one_is_dropped() {
    let _quiet = liar::only_hidden_lies("nothing may happen by itself");
    let stepped = Stepped::new();
    let (listener, _clients) = stepped.enter(|| crowd(2, 4));
    let accept = || {
        let watcher = Watcher::new();
        stepped.finish(pin!(listener.accept()), &watcher).unwrap().0
    };
    let mut open: Vec<Connection> = vec![accept(), accept()];
    for _ in 0..2 {
        assert_eq!(listener.taken(), 2);
        let watcher = Watcher::new();
        let mut next = pin!(listener.accept());
        assert!(stepped.poll(next.as_mut(), &watcher).is_pending());
        stepped.settle();
        stepped.assert_idle();
        assert!(stepped.poll(next.as_mut(), &watcher).is_pending());
        assert_eq!(watcher.count(), 0);
        stepped.enter(|| drop(open.remove(0)));
        assert_eq!(watcher.count(), 1, "woken by the drop, not by the loop");
        open.push(stepped.finish(next.as_mut(), &watcher).unwrap().0);
    }
    drop(open);
    assert_eq!(listener.taken(), 0);
}

#[test]
fn a_connection_counts_wherever_it_is_until_it_is_closed() {
    let stepped = Stepped::new();
    let (listener, _clients) = stepped.enter(|| crowd(1, 3));
    let watcher = Watcher::new();
    let (first, _) = stepped.finish(pin!(listener.accept()), &watcher).unwrap();
    // Taken out of `Async`, it counts on; and on another thread, too.
    let first: Limited<TcpStream> = first.into_inner().unwrap();
    let mut second = pin!(listener.accept());
    let watcher = Watcher::new();
    assert!(stepped.poll(second.as_mut(), &watcher).is_pending());
    assert_eq!(listener.taken(), 1);
    thread::spawn(|| drop(first)).join().unwrap();
    assert_eq!(watcher.count(), 1);
    let (second, _) = stepped.finish(second.as_mut(), &watcher).unwrap();
    // Taken out of `Limited`, it counts no longer.
    let second: TcpStream = second.into_inner().unwrap().into_inner();
    assert_eq!(listener.taken(), 0);
    let watcher = Watcher::new();
    stepped.finish(pin!(listener.accept()), &watcher).unwrap();
    drop(second);
}

#[test]
fn a_connection_of_several_handles_counts_once_until_the_last_one_is_dropped() {
    run(async || {
        let (listener, mut clients) = crowd(1, 1);
        let (stream, _) = listener.accept().await.unwrap();
        let reader = stream.clone();
        // It is read and written as any other.
        clients[0].write_all(b"hello").unwrap();
        clients[0].shutdown(Shutdown::Write).unwrap();
        assert_eq!(futures::io::copy(&reader, &mut &stream).await.unwrap(), 5);
        drop(stream);
        assert_eq!(listener.taken(), 1);
        drop(reader);
        assert_eq!(listener.taken(), 0);
        let mut text = String::new();
        clients[0].read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    });
}

#[test]
fn an_accept_that_is_given_up_leaves_its_place_and_no_waker() {
    let stepped = Stepped::new();
    let (listener, clients) = stepped.enter(|| crowd(1, 1));
    let watcher = Watcher::new();
    let (first, _) = stepped.finish(pin!(listener.accept()), &watcher).unwrap();
    let waiting = Watcher::new();
    for _ in 0..3 {
        let mut accept = pin!(listener.accept());
        assert!(stepped.poll(accept.as_mut(), &waiting).is_pending());
        assert!(stepped.poll(accept.as_mut(), &waiting).is_pending());
        assert_eq!(waiting.holders(), 1);
    }
    assert_eq!(waiting.holders(), 0);
    drop(first);
    assert_eq!(waiting.count(), 0);
    // The next one has the place, but nobody connects.
    for _ in 0..3 {
        let mut accept = pin!(listener.accept());
        assert!(stepped.poll(accept.as_mut(), &waiting).is_pending());
        assert_eq!(listener.taken(), 1);
    }
    assert_eq!(listener.taken(), 0);
    drop(clients);
}

#[test]
fn of_several_that_wait_none_is_forgotten() {
    let stepped = Stepped::new();
    let (listener, _clients) = stepped.enter(|| crowd(1, 3));
    let accept = || Box::pin(listener.accept());
    let watcher = Watcher::new();
    let (open, _) = stepped.finish(accept().as_mut(), &watcher).unwrap();
    let watchers = [(); 3].map(|()| Watcher::new());
    let [mut one, two, mut three] = watchers.each_ref().map(|watcher| {
        let mut waiting = accept();
        assert!(stepped.poll(waiting.as_mut(), watcher).is_pending());
        waiting
    });
    let holds = Box::new(open);
    drop(holds);
    // One of those that were woken is given up without having been polled.
    drop(two);
    let (open, _) = stepped.finish(three.as_mut(), &watchers[2]).unwrap();
    assert!(stepped.poll(one.as_mut(), &watchers[0]).is_pending());
    drop(open);
    stepped.finish(one.as_mut(), &watchers[0]).unwrap();
}

#[test]
fn of_several_tasks_that_accept_each_has_its_turn() {
    const TASKS: usize = 3;
    const CLIENTS: usize = 12;
    let stepped = Stepped::new();
    let (listener, _clients) = stepped.enter(|| crowd(1, CLIENTS));
    let listener = Rc::new(listener);
    let (open, accepted): (Rc<RefCell<Vec<_>>>, Rc<RefCell<Vec<_>>>) = Default::default();
    for number in 0..TASKS {
        let (listener, open, accepted) = (listener.clone(), open.clone(), accepted.clone());
        let accepts = async move {
            loop {
                let connection = listener.accept().await.unwrap();
                open.borrow_mut().push(connection);
                accepted.borrow_mut().push(number);
            }
        };
        stepped.spawn(accepts).detach();
    }
    for count in 1..=CLIENTS {
        stepped.until("the next one is accepted", || accepted.borrow().len() == count);
        let closed = open.borrow_mut().pop();
        stepped.enter(|| drop(closed));
    }
    let accepted = accepted.take();
    let each = |number| accepted.iter().filter(|by| **by == number).count();
    assert!((0..TASKS).all(|number| each(number) >= CLIENTS / TASKS - 1), "{accepted:?}");
}

#[test]
fn incoming_keeps_to_the_limit() {
    run(async || {
        let (listener, _clients) = crowd(1, 3);
        let mut incoming = listener.incoming();
        for _ in 0..3 {
            let (stream, _) = incoming.next().await.unwrap().unwrap();
            assert_eq!(listener.taken(), 1);
            assert!(futures::poll!(incoming.next()).is_pending());
            drop(stream);
        }
    });
}

#[test]
fn a_unix_listener_can_have_a_limit_too() {
    run(async || {
        let path = std::env::temp_dir().join(format!("selkie-{}-limit", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = Async::<UnixListener>::bind(&path).unwrap().limit(1);
        let _clients = [(); 2].map(|()| UnixStream::connect(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        let (first, _) = listener.accept().await.unwrap();
        assert!(first.get_ref().peer_addr().unwrap().is_unnamed());
        assert!(futures::poll!(pin!(listener.accept())).is_pending());
        drop(first);
        listener.accept().await.unwrap();
    });
}

#[test]
#[should_panic = "a listener with a limit of 0 can accept nothing; allow 1 at least"]
fn a_limit_of_zero_is_a_mistake() {
    Stepped::new().enter(|| crowd(0, 0));
}

#[test]
fn an_accept_that_fails_gives_its_place_back() {
    alone(|| {
        run(async || {
            use nix::sys::resource::{Resource, getrlimit, setrlimit};
            let (listener, _clients) = crowd(1, 1);
            let next = std::os::fd::AsRawFd::as_raw_fd(&std::fs::File::open("/dev/null").unwrap());
            let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
            setrlimit(Resource::RLIMIT_NOFILE, u64::try_from(next).unwrap(), hard).unwrap();
            let error = listener.accept().await.unwrap_err();
            let taken = listener.taken();
            let mut incoming = listener.incoming();
            let in_stream = incoming.next().await.unwrap().unwrap_err();
            let while_it_rests = listener.taken();
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
            assert_eq!([error, in_stream].map(|error| error.raw_os_error()), [Some(24); 2]);
            assert_eq!((taken, while_it_rests), (0, 0));
            let (_stream, _) = incoming.next().await.unwrap().unwrap();
            assert_eq!(listener.taken(), 1);
        });
    });
}
