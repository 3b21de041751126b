//! Waiting for out-of-band data, beside those who read the stream.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use rustix::event::PollFlags;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use selkie::selector::BackendKind;
use selkie::{Async, Interest, Readiness};

use crate::liar;
use crate::util::{Stepped, Watcher, backend, blocking_tcp_pair, wait_in_kernel};

/// The near end was found empty, so that whoever comes waits.
fn empty_stream(stepped: &Stepped) -> (Async<TcpStream>, TcpStream) {
    let (near, far) = blocking_tcp_pair();
    let near = stepped.enter(|| Async::new(near)).unwrap();
    assert!(near.poll_readable(&mut Context::from_waker(Waker::noop())).is_pending());
    (near, far)
}

fn send_urgent(far: &TcpStream, near: &Async<TcpStream>) {
    send(far, b"!", SendFlags::OOB).unwrap();
    wait_in_kernel(near, PollFlags::PRI);
}

#[test]
fn out_of_band_data_that_came_before_anybody_asked_for_them_end_the_wait_for_them() {
    let stepped = Stepped::new();
    let (near, far) = empty_stream(&stepped);
    send_urgent(&far, &near);
    // The loop is told of them, and nobody waits.
    stepped.settle();
    let ready = stepped.finish(pin!(near.ready(Interest::PRIORITY)), &Watcher::new());
    assert_eq!(ready.unwrap(), Readiness::PRIORITY);
}

#[test]
fn a_reader_that_finds_nothing_does_not_hide_out_of_band_data_from_who_waits_for_them() {
    let _quiet = liar::only_hidden_lies("a read, though in vain, drops out-of-band data");
    let stepped = Stepped::new();
    let (near, far) = empty_stream(&stepped);
    let (reader, watcher) = (Watcher::new(), Watcher::new());
    let mut buf = [0; 8];
    let mut read = pin!(near.read_with(|mut io| io.read(&mut buf)));
    let mut urgent = pin!(near.ready(Interest::PRIORITY));
    assert!(stepped.poll(read.as_mut(), &reader).is_pending());
    assert!(stepped.poll(urgent.as_mut(), &watcher).is_pending());
    send_urgent(&far, &near);
    stepped.until("who waits for them is woken", || watcher.count() > 0);
    assert!(stepped.poll(read.as_mut(), &reader).is_pending());
    assert_eq!(stepped.finish(urgent, &watcher).unwrap(), Readiness::PRIORITY);
    // The next one finds them, too.
    let ready = stepped.finish(pin!(near.ready(Interest::PRIORITY)), &watcher);
    assert_eq!(ready.unwrap(), Readiness::PRIORITY);
}

#[test]
fn who_waits_for_out_of_band_data_takes_no_wake_from_a_reader() {
    let stepped = Stepped::new();
    let (near, mut far) = empty_stream(&stepped);
    let (reader, watcher) = (Watcher::new(), Watcher::new());
    let mut buf = [0; 8];
    let mut read = pin!(near.read_with(|mut io| io.read(&mut buf)));
    let mut urgent = pin!(near.ready(Interest::PRIORITY));
    assert!(stepped.poll(urgent.as_mut(), &watcher).is_pending());
    assert!(stepped.poll(read.as_mut(), &reader).is_pending());
    far.write_all(b"data").unwrap();
    stepped.until("the reader is woken", || reader.count() > 0);
    assert!(stepped.poll(urgent.as_mut(), &watcher).is_pending());
    let Poll::Ready(read) = stepped.poll(read.as_mut(), &reader) else {
        panic!("there is something to read");
    };
    assert_eq!(read.unwrap(), 4);
}

#[test]
fn a_wait_for_out_of_band_data_does_not_spin_over_bytes_that_nobody_reads() {
    let _quiet = liar::only_hidden_lies("insists on silence");
    let stepped = Stepped::new();
    let (near, mut far) = empty_stream(&stepped);
    let task_of = |near: Async<TcpStream>| async move {
        near.ready(Interest::PRIORITY).await.unwrap();
        recv(near.get_ref(), &mut [0], RecvFlags::OOB).unwrap();
    };
    let task = stepped.spawn(task_of(near.clone()));
    far.write_all(b"data").unwrap();
    wait_in_kernel(&near, PollFlags::IN);
    stepped.settle();
    stepped.assert_idle();
    send_urgent(&far, &near);
    stepped.until("the task has them", || task.is_finished());
}

#[test]
fn a_hang_up_ends_a_wait_for_out_of_band_data() {
    if backend() == BackendKind::Select {
        return; // select(2) tells it to those who wait to read, and to nobody else.
    }
    let stepped = Stepped::new();
    let (near, far) = empty_stream(&stepped);
    let watcher = Watcher::new();
    let mut urgent = pin!(near.ready(Interest::PRIORITY));
    assert!(stepped.poll(urgent.as_mut(), &watcher).is_pending());
    crate::reset::reset(far);
    let ready = stepped.finish(urgent, &watcher).unwrap();
    assert!(ready.contains(Readiness::READ_CLOSED | Readiness::WRITE_CLOSED), "{ready:?}");
}
