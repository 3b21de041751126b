//! Many who wait for one source: each has its turn, and who gives up leaves nothing behind.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::io::AsyncRead;
use selkie::Async;

use crate::liar;
use crate::util::{Stepped, Watcher, blocking_tcp_pair, near_and_far};

/// How a task of a crowd receives.
#[derive(Clone, Copy, Debug)]
enum Receives {
    Method,
    Poll,
    Trait,
}

const ALL: [Receives; 3] = [Receives::Method, Receives::Poll, Receives::Trait];

impl Receives {
    async fn one(self, socket: &Async<UnixDatagram>) {
        let mut buf = [0; 8];
        match self {
            Self::Method => socket.recv(&mut buf).await,
            Self::Poll => {
                poll_fn(|cx| socket.poll_read_with(cx, |socket| socket.recv(&mut buf))).await
            }
            Self::Trait => poll_fn(|cx| Pin::new(&mut &*socket).poll_read(cx, &mut buf)).await,
        }
        .unwrap();
    }
}

#[test]
fn tasks_that_wait_for_one_source_are_served_in_turn() {
    const DATAGRAMS: usize = 300;
    for how in ALL {
        let stepped = Stepped::new();
        let (far, near) = UnixDatagram::pair().unwrap();
        let near = Rc::new(stepped.enter(|| Async::new(near)).unwrap());
        let served: [Rc<Cell<usize>>; 3] = Default::default();
        for count in &served {
            let (near, count) = (Rc::clone(&near), Rc::clone(count));
            let serve = async move {
                loop {
                    how.one(&near).await;
                    count.set(count.get() + 1);
                }
            };
            stepped.spawn(serve).detach();
        }
        stepped.settle();
        let all = || served.iter().map(|count| count.get()).sum::<usize>();
        for number in 1..=DATAGRAMS {
            far.send(b"x").unwrap();
            stepped.until("it is received", || all() == number);
        }
        let counts = served.each_ref().map(|count| count.get());
        assert!(counts.iter().all(|count| *count >= DATAGRAMS / 4), "{how:?}: {counts:?}");
    }
}

#[test]
fn tasks_that_wait_for_one_stream_in_different_ways_are_served_in_turn() {
    const BYTES: usize = 300;
    let stepped = Stepped::new();
    let (near, mut far) = blocking_tcp_pair();
    far.set_nodelay(true).unwrap();
    let near = Rc::new(stepped.enter(|| Async::new(near)).unwrap());
    let served: [Rc<Cell<usize>>; 4] = Default::default();
    for (number, count) in served.iter().enumerate() {
        let (near, count) = (Rc::clone(&near), Rc::clone(count));
        let serve = async move {
            loop {
                let mut stream = &*near;
                let mut buf = [0; 1];
                let read = match number {
                    0 => near.read_with(|mut io| io.read(&mut buf)).await,
                    1 => poll_fn(|cx| near.poll_read_with(cx, |mut io| io.read(&mut buf))).await,
                    _ => poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut buf)).await,
                };
                assert_eq!(read.unwrap(), 1);
                count.set(count.get() + 1);
            }
        };
        stepped.spawn(serve).detach();
    }
    stepped.settle();
    let all = || served.iter().map(|count| count.get()).sum::<usize>();
    for number in 1..=BYTES {
        far.write_all(b"x").unwrap();
        stepped.until("it is read", || all() == number);
    }
    let counts = served.each_ref().map(|count| count.get());
    assert!(counts.iter().all(|count| *count >= BYTES / 6), "{counts:?}");
}

#[test]
fn an_operation_that_is_given_up_under_a_fresh_waker_each_time_leaves_nothing_behind() {
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let watchers = RefCell::new(Vec::new());
    for _ in 0..10_000 {
        let watcher = Watcher::new();
        let mut buf = [0; 8];
        let polled =
            Pin::new(&mut &near).poll_read(&mut Context::from_waker(&watcher.waker()), &mut buf);
        assert!(polled.is_pending());
        watchers.borrow_mut().push(watcher);
    }
    let held = watchers.borrow().iter().map(Watcher::holders).sum::<usize>();
    assert!(held <= 600, "{held} wakers are kept");
    // The last one has not been forgotten.
    let last = watchers.borrow_mut().pop().unwrap();
    far.write_all(b"x").unwrap();
    stepped.until("the last one is woken", || last.count() > 0);
}

#[test]
fn many_who_poll_without_a_name_are_all_woken_and_not_asked_for_ever() {
    let _quiet = liar::only_hidden_lies("insists on silence");
    const MANY: usize = 1_000;
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let near = Rc::new(near);
    let polls = Rc::new(Cell::new(0));
    let tasks: Vec<_> = (0..MANY)
        .map(|_| {
            let (near, polls) = (Rc::clone(&near), Rc::clone(&polls));
            stepped.spawn(poll_fn(move |cx| {
                polls.set(polls.get() + 1);
                near.poll_readable(cx)
            }))
        })
        .collect();
    stepped.settle();
    assert!(polls.get() < 10 * MANY, "{} polls", polls.get());
    stepped.assert_idle();
    far.write_all(b"x").unwrap();
    stepped.until("all are told", || tasks.iter().all(|task| task.is_finished()));
}

#[test]
fn a_waiter_of_a_crowd_that_gives_up_takes_nobody_elses_place() {
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let watchers = [(); 20].map(|()| Watcher::new());
    let mut waits: Vec<_> = watchers.iter().map(|_| Some(Box::pin(near.readable()))).collect();
    for (wait, watcher) in waits.iter_mut().zip(&watchers) {
        assert!(stepped.poll(wait.as_mut().unwrap().as_mut(), watcher).is_pending());
    }
    for leaves in (0..20).step_by(3) {
        waits[leaves] = None;
    }
    far.write_all(b"x").unwrap();
    let stays = |place: usize| !place.is_multiple_of(3);
    stepped.until("those who stay are woken", || {
        (0..20).filter(|place| stays(*place)).all(|place| watchers[place].count() == 1)
    });
    assert!((0..20).filter(|place| !stays(*place)).all(|place| watchers[place].count() == 0));
}

#[test]
fn a_waiter_that_found_nothing_is_woken_again_by_the_next_event() {
    let stepped = Stepped::new();
    let (far, near) = UnixDatagram::pair().unwrap();
    let near = stepped.enter(|| Async::new(near)).unwrap();
    let [one, other] = [(); 2].map(|()| Watcher::new());
    let (mut buf, mut other_buf) = ([0; 8], [0; 8]);
    let (mut first, mut second) = (pin!(near.recv(&mut buf)), pin!(near.recv(&mut other_buf)));
    assert!(stepped.poll(first.as_mut(), &one).is_pending());
    assert!(stepped.poll(second.as_mut(), &other).is_pending());
    far.send(b"1").unwrap();
    stepped.until("both are woken", || one.count() + other.count() == 2);
    assert!(matches!(stepped.poll(second.as_mut(), &other), Poll::Ready(Ok(1))));
    assert!(stepped.poll(first.as_mut(), &one).is_pending());
    far.send(b"2").unwrap();
    stepped.until("the one that found nothing", || one.count() == 2);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(matches!(first.as_mut().poll(&mut cx), Poll::Ready(Ok(1))));
}
