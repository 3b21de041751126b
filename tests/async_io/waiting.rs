//! Who waits for a source, is woken, gives up, or is left behind.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use selkie::{Async, Runtime, Task};

use crate::liar;
use crate::util::{Stepped, Watcher, async_tcp_pair, drain, fill, near_and_far, run};

fn finished<T>(tasks: &[Task<T>]) -> usize {
    tasks.iter().filter(|task| task.is_finished()).count()
}

/// Sixteen tasks that each receive one datagram.
fn receivers<F: Future<Output = io::Result<usize>> + 'static>(
    stepped: &Stepped,
    receive: fn(Rc<Async<UnixDatagram>>) -> F,
) -> (UnixDatagram, Vec<Task<io::Result<usize>>>) {
    let (near, far) = UnixDatagram::pair().unwrap();
    let near = Rc::new(stepped.enter(|| Async::new(near).unwrap()));
    let tasks = (0..16).map(|_| stepped.spawn(receive(Rc::clone(&near)))).collect();
    stepped.settle();
    (far, tasks)
}

fn each_is_served<F: Future<Output = io::Result<usize>> + 'static>(
    receive: fn(Rc<Async<UnixDatagram>>) -> F,
) {
    let stepped = Stepped::new();
    let (far, one_by_one) = receivers(&stepped, receive);
    for served in 1..=one_by_one.len() {
        far.send(b"one").unwrap();
        stepped.until("one more is served", || finished(&one_by_one) >= served);
        stepped.settle();
        assert_eq!(finished(&one_by_one), served);
    }
    let (far, at_once) = receivers(&stepped, receive);
    for _ in &at_once {
        far.send(b"all").unwrap();
    }
    stepped.until("all are served", || finished(&at_once) == at_once.len());
    for task in one_by_one.into_iter().chain(at_once) {
        assert_eq!(stepped.block_on(task).unwrap(), 3);
    }
}

#[test]
fn sixteen_tasks_that_read_one_source_are_each_served() {
    each_is_served(|socket| async move { socket.recv(&mut [0; 8]).await });
}

#[test]
fn sixteen_tasks_that_poll_one_source_are_each_served() {
    each_is_served(|socket| {
        poll_fn(move |cx| socket.poll_read_with(cx, |io| io.recv(&mut [0; 8])))
    });
}

#[test]
fn sixteen_tasks_that_write_to_one_source_are_each_served() {
    let stepped = Stepped::new();
    let (near, far) = stepped.enter(near_and_far);
    let near = Rc::new(near);
    let filled = fill(near.get_ref());
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let near = Rc::clone(&near);
            stepped.spawn(async move { near.write_with(|mut io| io.write(b"x")).await })
        })
        .collect();
    stepped.settle();
    assert_eq!(finished(&tasks), 0);
    drain(&far, filled);
    stepped.until("all have written", || finished(&tasks) == tasks.len());
}

#[test]
fn the_last_one_to_wait_does_not_take_the_others_place() {
    let _quiet = liar::only_hidden_lies("wakes are counted");
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let watchers = [(); 5].map(|()| Watcher::new());
    for watcher in &watchers {
        let waker = watcher.waker();
        assert!(near.poll_readable(&mut Context::from_waker(&waker)).is_pending());
    }
    far.write_all(b"x").unwrap();
    stepped.until("the first is woken", || watchers[0].count() > 0);
    assert_eq!(watchers.map(|watcher| watcher.count()), [1; 5]);
}

#[test]
fn a_task_that_polls_again_and_again_is_woken_once() {
    let _quiet = liar::only_hidden_lies("wakes are counted");
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let watcher = Watcher::new();
    let waker = watcher.waker();
    for _ in 0..100 {
        assert!(near.poll_readable(&mut Context::from_waker(&waker)).is_pending());
    }
    far.write_all(b"x").unwrap();
    stepped.until("it is woken", || watcher.count() > 0);
    stepped.settle();
    assert_eq!(watcher.count(), 1);
}

#[test]
fn of_two_futures_of_one_task_the_one_that_is_cancelled_takes_only_its_own_wake_along() {
    for cancelled in 0..2 {
        let stepped = Stepped::new();
        let (near, mut far) = stepped.enter(near_and_far);
        let watcher = Watcher::new();
        let read = || Box::pin(near.read_with(|mut io| io.read(&mut [0; 8])));
        let mut reads = vec![read(), read()];
        for read in &mut reads {
            assert!(stepped.poll(read.as_mut(), &watcher).is_pending());
        }
        drop(reads.remove(cancelled));
        far.write_all(b"x").unwrap();
        assert_eq!(stepped.finish(reads[0].as_mut(), &watcher).unwrap(), 1);
    }
}

#[test]
fn a_future_that_moves_to_another_task_wakes_that_one_only() {
    let _quiet = liar::only_hidden_lies("wakes are counted");
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let [old, new] = [(); 2].map(|()| Watcher::new());
    let mut readable = pin!(near.readable());
    assert!(stepped.poll(readable.as_mut(), &old).is_pending());
    assert!(stepped.poll(readable.as_mut(), &new).is_pending());
    assert_eq!(old.holders(), 0);
    far.write_all(b"x").unwrap();
    stepped.finish(readable, &new).unwrap();
    assert_eq!((old.count(), new.count()), (0, 1));
}

#[test]
fn a_future_that_gives_up_leaves_no_waker_behind_and_is_not_woken() {
    let _quiet = liar::only_hidden_lies("wakes are counted");
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    fill(near.get_ref());
    let watcher = Watcher::new();
    {
        let (mut readable, mut writable) = (pin!(near.readable()), pin!(near.writable()));
        assert!(stepped.poll(readable.as_mut(), &watcher).is_pending());
        assert!(stepped.poll(writable.as_mut(), &watcher).is_pending());
        assert_eq!(watcher.holders(), 2);
    }
    assert_eq!(watcher.holders(), 0);
    far.write_all(b"x").unwrap();
    stepped.settle();
    assert_eq!(watcher.count(), 0);
}

#[test]
fn an_event_of_one_direction_wakes_nobody_in_the_other() {
    let _quiet = liar::only_hidden_lies("wakes are counted");
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let filled = fill(near.get_ref());
    let [reader, writer] = [(); 2].map(|()| Watcher::new());
    let (mut readable, mut writable) = (pin!(near.readable()), pin!(near.writable()));
    assert!(stepped.poll(readable.as_mut(), &reader).is_pending());
    assert!(stepped.poll(writable.as_mut(), &writer).is_pending());
    far.write_all(b"x").unwrap();
    stepped.until("the reader is woken", || reader.count() > 0);
    stepped.settle();
    assert_eq!(writer.count(), 0, "woken by data to read");
    drain(&far, filled);
    stepped.finish(writable, &writer).unwrap();
    assert_eq!((reader.count(), writer.count()), (1, 1));
}

/// What a task shares that another one may take away.
type Slot = Rc<RefCell<Option<Async<UnixStream>>>>;

/// A task that reads from the slot until there is nothing in it.
fn reader_of(slot: Slot) -> impl Future<Output = ()> {
    poll_fn(move |cx| match &*slot.borrow() {
        Some(near) => near.poll_readable(cx).map(|_| ()),
        None => Poll::Ready(()),
    })
}

#[test]
fn tasks_that_wait_for_a_source_are_woken_when_it_is_dropped_or_taken_out() {
    let take_out = |near: Async<_>| drop(near.into_inner());
    for take_away in [drop::<Async<UnixStream>>, take_out] {
        let stepped = Stepped::new();
        let (near, _far) = stepped.enter(near_and_far);
        let slot = Rc::new(RefCell::new(Some(near)));
        let tasks: Vec<_> = (0..3).map(|_| stepped.spawn(reader_of(Rc::clone(&slot)))).collect();
        stepped.settle();
        take_away(slot.take().unwrap());
        stepped.until("all see that it is gone", || finished(&tasks) == tasks.len());
    }
}

#[test]
fn without_its_runtime_a_source_can_be_used_but_not_waited_for() {
    let owner = Stepped::new();
    let (near, mut far) = owner.enter(near_and_far);
    let mut waited_before = Box::pin(near.readable());
    assert!(owner.poll(waited_before.as_mut(), &Watcher::new()).is_pending());
    let (never_waited, _far) = owner.enter(near_and_far);
    owner.close();

    let stepped = Stepped::new();
    let broken = |result: io::Result<()>| {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("the runtime of this source is gone"), "{error}");
        error.kind() == ErrorKind::BrokenPipe
    };
    assert!(broken(stepped.block_on(waited_before)));
    assert!(broken(stepped.block_on(near.readable())));
    assert!(broken(stepped.block_on(never_waited.readable())));
    let write = near.write_with(|mut io| io.write(b"hello"));
    assert_eq!(stepped.block_on(write).unwrap(), 5);
    far.write_all(b"hello").unwrap();
    assert_eq!(near.into_inner().unwrap().read(&mut [0; 8]).unwrap(), 5);
}

#[test]
fn a_task_of_another_runtime_is_woken_when_that_of_its_source_is_gone() {
    run(async || {
        let mut owner = Some(Runtime::new().unwrap());
        let (mut near, _far) = owner.as_ref().unwrap().enter(near_and_far);
        let mut buf = [0; 8];
        let read = near.read(&mut buf);
        let drop_owner = async {
            selkie::yield_now().await;
            drop(owner.take());
        };
        let (result, ()) = futures::join!(read, drop_owner);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_stream_that_is_used_only_after_its_runtime_says_each_time_that_it_is_gone() {
    fn is_broken<T: std::fmt::Debug>(polled: Poll<io::Result<T>>) {
        let Poll::Ready(Err(error)) = polled else { panic!("nobody would wake it: {polled:?}") };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
    let (owner, mut cx) = (Stepped::new(), Context::from_waker(Waker::noop()));
    let (near, _far) = owner.enter(async_tcp_pair);
    owner.close();
    let mut near = &near;
    for _ in 0..3 {
        is_broken(Pin::new(&mut near).poll_read(&mut cx, &mut [0; 8]));
        is_broken(near.poll_read_uninit(&mut cx, &mut [MaybeUninit::uninit(); 8]));
    }
    let bytes = [0; 65_536];
    while let Poll::Ready(Ok(_)) = Pin::new(&mut near).poll_write(&mut cx, &bytes) {}
    (0..3).for_each(|_| is_broken(Pin::new(&mut near).poll_write(&mut cx, &bytes)));
}

#[test]
fn a_source_of_a_closed_runtime_keeps_no_waiter() {
    let owner = Stepped::new();
    let (near, _far) = owner.enter(near_and_far);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(near.poll_readable(&mut cx).is_pending());
    owner.close();
    let watcher = Watcher::new();
    let waker = watcher.waker();
    let mut cx = Context::from_waker(&waker);
    for _ in 0..2 {
        assert!(matches!(near.poll_readable(&mut cx), Poll::Ready(Err(_))));
        assert_eq!(watcher.holders(), 1, "nobody would ever wake it");
    }
}

#[test]
fn readiness_tells_of_priority_of_an_end_and_of_an_empty_interest() {
    use rustix::net::{SendFlags, send};
    use selkie::{Interest, Readiness};
    run(async || {
        let (near, far) = crate::util::blocking_tcp_pair();
        let near = Async::new(near).unwrap();
        let error = near.ready(Interest::empty()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let ready = near.ready(Interest::READ | Interest::WRITE).await.unwrap();
        assert_eq!(ready, Readiness::WRITE);
        let urgent = async {
            selkie::yield_now().await;
            send(&far, b"!", SendFlags::OOB).unwrap();
        };
        let (ready, ()) = futures::join!(near.ready(Interest::PRIORITY), urgent);
        assert_eq!(ready.unwrap(), Readiness::PRIORITY);
        let end = async {
            selkie::yield_now().await;
            drop(far);
        };
        let (ready, ()) = futures::join!(near.ready(Interest::READ), end);
        assert!(ready.unwrap().contains(Readiness::READ | Readiness::READ_CLOSED));
    });
}
