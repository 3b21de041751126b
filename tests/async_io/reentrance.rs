//! User code that the loop calls, in wakers and operations: it may come back into the runtime, of
//! which nothing may be borrowed then, and it may panic.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use selkie::{Async, Runtime, Sleep, sleep};

use crate::liar;
use crate::util::wakers::eventful;
use crate::util::{DEADLINE, SILENCE, Stepped, Watcher, near_and_far, on_own_thread, runtime};

thread_local! {
    static RUNTIME: RefCell<Option<Rc<Runtime>>> = const { RefCell::new(None) };
    static VISITS: Cell<usize> = const { Cell::new(0) };
}

/// Uses everything that the runtime has, when it is called and when it is dropped.
struct Visitor;

impl Visitor {
    fn waker() -> Waker {
        Arc::new(Self).into()
    }

    fn visit() {
        let Ok(Some(runtime)) = RUNTIME.try_with(|runtime| runtime.borrow().clone()) else {
            return;
        };
        VISITS.set(VISITS.get() + 1);
        let mut cx = Context::from_waker(Waker::noop());
        runtime.enter(|| {
            let mut soon = sleep(SILENCE);
            assert!(Pin::new(&mut soon).poll(&mut cx).is_pending());
            let (near, mut far) = UnixStream::pair().unwrap();
            let near = Async::new(near).unwrap();
            assert!(near.poll_readable(&mut cx).is_pending());
            far.write_all(b"x").unwrap();
            assert!(near.poll_writable(&mut cx).is_ready());
            selkie::spawn(async {}).detach();
        });
        assert!(runtime.next_deadline().is_none_or(|_| runtime.has_ready_tasks()));
    }
}

impl Wake for Visitor {
    fn wake(self: Arc<Self>) {
        Self::visit();
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        Self::visit();
    }
}

/// Runs `test` in a runtime that visitors find, and insists that one of them came.
#[track_caller]
fn visited(test: impl FnOnce(&Runtime) + Send + 'static) {
    let visits = on_own_thread(move || {
        let runtime = Rc::new(runtime());
        RUNTIME.set(Some(Rc::clone(&runtime)));
        test(&runtime);
        let visits = VISITS.get();
        RUNTIME.take();
        visits
    });
    assert!(visits > 0, "nobody came back into the runtime");
}

fn turn(runtime: &Runtime) {
    runtime.turn(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_waker_may_use_the_runtime_when_an_event_wakes_it() {
    visited(|runtime| {
        let (near, mut far) = runtime.enter(near_and_far);
        let waker = Visitor::waker();
        assert!(near.poll_readable(&mut Context::from_waker(&waker)).is_pending());
        far.write_all(b"x").unwrap();
        while VISITS.get() == 0 {
            turn(runtime);
        }
    });
}

#[test]
fn a_waker_may_use_the_runtime_when_another_one_takes_its_place() {
    visited(|runtime| {
        let (near, _far) = runtime.enter(near_and_far);
        let mut readable = pin!(near.readable());
        let mut poll = |waker: Waker| {
            runtime.enter(|| readable.as_mut().poll(&mut Context::from_waker(&waker)))
        };
        assert!(poll(Visitor::waker()).is_pending());
        assert!(poll(Waker::noop().clone()).is_pending());
    });
}

#[test]
fn a_waker_may_use_the_runtime_when_its_future_gives_up() {
    visited(|runtime| {
        let (near, _far) = runtime.enter(near_and_far);
        let mut readable = Box::pin(near.readable());
        let waker = Visitor::waker();
        let mut cx = Context::from_waker(&waker);
        assert!(runtime.enter(|| readable.as_mut().poll(&mut cx)).is_pending());
        drop(waker);
        drop(readable);
    });
}

#[test]
fn a_waker_may_use_the_runtime_when_its_source_is_dropped() {
    visited(|runtime| {
        let (near, _far) = runtime.enter(near_and_far);
        assert!(near.poll_readable(&mut Context::from_waker(&Visitor::waker())).is_pending());
        drop(near);
    });
}

#[test]
fn a_waker_may_use_the_runtime_when_its_timer_fires_moves_or_goes() {
    visited(|runtime| {
        let poll = |timer: &mut Sleep, waker: Waker| {
            let mut cx = Context::from_waker(&waker);
            runtime.enter(|| Pin::new(timer).poll(&mut cx).is_pending())
        };
        let mut fires = sleep(Duration::from_nanos(1));
        assert!(poll(&mut fires, Visitor::waker()));
        turn(runtime);
        assert_ne!(VISITS.take(), 0, "when it fires");
        let mut moves = sleep(SILENCE);
        assert!(poll(&mut moves, Visitor::waker()));
        assert!(poll(&mut moves, Waker::noop().clone()));
        assert_ne!(VISITS.take(), 0, "when it moves");
        assert!(poll(&mut moves, Visitor::waker()));
        moves.reset(std::time::Instant::now() + SILENCE);
        assert_eq!(VISITS.take(), 0, "set anew, it keeps its waker");
        drop(moves);
        assert_ne!(VISITS.get(), 0, "when it is dropped");
    });
}

#[test]
fn a_waker_may_ask_a_runtime_that_ends_for_a_source_and_a_timer() {
    on_own_thread(|| {
        /// Is called when the runtime has begun to end.
        struct Heir;
        impl Wake for Heir {
            fn wake(self: Arc<Self>) {
                VISITS.set(VISITS.get() + 1);
                drop(Async::new(UnixStream::pair().unwrap().0));
                let mut cx = Context::from_waker(Waker::noop());
                let mut late = sleep(SILENCE);
                let poll = || Pin::new(&mut late).poll(&mut cx).is_pending();
                let _ = catch_unwind(AssertUnwindSafe(poll));
            }
        }
        let runtime = Runtime::new().unwrap();
        let (near, _far) = runtime.enter(near_and_far);
        let waker = Arc::new(Heir).into();
        let mut cx = Context::from_waker(&waker);
        assert!(near.poll_readable(&mut cx).is_pending());
        let mut timer = sleep(SILENCE);
        assert!(runtime.enter(|| Pin::new(&mut timer).poll(&mut cx)).is_pending());
        drop(runtime);
        assert_eq!(VISITS.get(), 2);
    });
}

#[test]
fn a_waker_that_panics_does_not_keep_the_others_from_their_wake() {
    let _quiet = liar::only_hidden_lies("wakes are counted");
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let panics = Arc::new(Panics).into();
    let [before, after] = [(); 2].map(|()| Watcher::new());
    for waker in [before.waker(), panics, after.waker()] {
        assert!(near.poll_readable(&mut Context::from_waker(&waker)).is_pending());
    }
    far.write_all(b"x").unwrap();
    let turn = || stepped.turn(Some(DEADLINE));
    assert!(catch_unwind(AssertUnwindSafe(turn)).is_err());
    assert_eq!((before.count(), after.count()), (1, 1));
    assert!(stepped.poll(pin!(near.readable()), &after).is_ready());
    stepped.settle();
    stepped.assert_idle();
}

#[test]
fn an_operation_that_panics_leaves_its_source_in_order() {
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let watcher = Watcher::new();
    let mut waits = Box::pin(near.read_with(|mut io| {
        let len = io.read(&mut [0; 8])?;
        assert_eq!(len, 0, "on purpose");
        Ok(())
    }));
    assert!(stepped.poll(waits.as_mut(), &watcher).is_pending());
    far.write_all(b"x").unwrap();
    stepped.until("it is woken", || watcher.count() > 0);
    let poll = || stepped.poll(waits.as_mut(), &watcher).is_ready();
    assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
    drop(waits);
    assert_eq!(watcher.holders(), 0);
    far.write_all(b"abc").unwrap();
    let read = pin!(near.read_with(|mut io| io.read(&mut [0; 8])));
    assert_eq!(stepped.finish(read, &watcher).unwrap(), 3);
}

#[test]
fn a_source_of_one_runtime_wakes_a_task_of_another_on_the_same_thread() {
    let [owner, other] = [(); 2].map(|()| Stepped::new());
    let (near, mut far) = owner.enter(near_and_far);
    let task = other.spawn(async move { near.read_with(|mut io| io.read(&mut [0; 8])).await });
    other.settle();
    far.write_all(b"hello").unwrap();
    owner.until("the event is there", || other.has_ready_tasks());
    other.until("the task goes on", || task.is_finished());
    assert_eq!(other.block_on(task).unwrap(), 5);
}

#[test]
fn a_waker_whose_clone_takes_a_turn_loses_no_event() {
    on_own_thread(|| {
        let _quiet = liar::only_hidden_lies("its turn sees the whole event");
        let stepped = Rc::new(Stepped::new());
        let (near, mut far) = stepped.enter(near_and_far);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(near.poll_readable(&mut cx).is_pending());
        let loop_ = Rc::clone(&stepped);
        let act = move || {
            far.write_all(b"x").unwrap();
            loop_.until("the event is there", || loop_.turn(Some(DEADLINE)).unwrap().events > 0);
        };
        // Waiting now would be for ever: the event has come while the waker was cloned.
        let waker = eventful(act);
        assert!(near.poll_readable(&mut Context::from_waker(&waker)).is_ready());
    });
}

#[test]
fn a_waker_whose_clone_takes_a_turn_loses_no_timer() {
    on_own_thread(|| {
        let stepped = Rc::new(Stepped::new());
        let mut timer = sleep(Duration::from_millis(1));
        let first = Waker::noop();
        let poll = |timer: &mut Sleep, waker: &Waker| {
            stepped.enter(|| Pin::new(timer).poll(&mut Context::from_waker(waker)).is_ready())
        };
        assert!(!poll(&mut timer, first));
        let loop_ = Rc::clone(&stepped);
        let act = move || assert_eq!(loop_.turn(Some(DEADLINE)).unwrap().timers, 1);
        let waker = eventful(act);
        assert!(poll(&mut timer, &waker), "it fired while the waker was cloned");
    });
}

#[test]
fn a_source_whose_descriptor_is_asked_for_may_use_the_runtime_meanwhile() {
    struct Curious(UnixStream, Rc<Stepped>);
    impl AsFd for Curious {
        fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
            self.1.turn(Some(Duration::ZERO)).unwrap();
            self.1.enter(|| drop(Async::new(UnixStream::pair().unwrap().0).unwrap()));
            self.0.as_fd()
        }
    }
    let stepped = Rc::new(Stepped::new());
    let (near, mut far) = UnixStream::pair().unwrap();
    let curious = Curious(near, Rc::clone(&stepped));
    let near = stepped.enter(|| Async::new(curious)).unwrap();
    far.write_all(b"x").unwrap();
    stepped.finish(pin!(near.readable()), &Watcher::new()).unwrap();
}

#[test]
fn a_connection_that_is_accepted_outside_a_runtime_belongs_to_the_listeners() {
    let stepped = Stepped::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let listener = stepped.enter(|| Async::new(listener)).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    // No runtime is current here.
    let Poll::Ready(accepted) = listener.poll_accept(&mut cx) else { panic!("it is there") };
    let (near, _) = accepted.unwrap();
    far.write_all(b"x").unwrap();
    stepped.finish(pin!(near.readable()), &Watcher::new()).unwrap();
}

#[test]
fn a_datagram_that_finds_no_room_waits_in_the_sockets_runtime_though_none_is_current() {
    let path = std::env::temp_dir().join(format!("selkie-full-{}", std::process::id()));
    let stepped = Stepped::new();
    let receiver = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
    let sender = stepped.enter(|| Async::new(sender)).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut sent = 0;
    loop {
        let mut send = Box::pin(sender.send_to(b"x", &path));
        if send.as_mut().poll(&mut cx).is_pending() {
            let mut buf = [0; 8];
            for _ in 0..sent {
                receiver.recv(&mut buf).unwrap();
            }
            assert_eq!(stepped.finish(send.as_mut(), &Watcher::new()).unwrap(), 1);
            break;
        }
        sent += 1;
    }
    std::fs::remove_file(path).unwrap();
}
