//! What must not keep the loop busy: data that nobody waits for, and hang-ups that do not go away.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::pin::pin;
use std::rc::Rc;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use rustix::event::PollFlags;
use selkie::Async;

use crate::liar;
use crate::util::{Pair, Stepped, Watcher, drain, fill, pairs, pipe, wait_in_kernel};

/// All of these insist on silence.
fn stepped() -> Stepped {
    let _quiet = liar::only_hidden_lies("nothing may happen by itself");
    Stepped::new()
}

/// Counts the polls of a future.
fn counted<F: Future>(future: F) -> (Rc<Cell<usize>>, impl Future<Output = F::Output>) {
    let polls = Rc::new(Cell::new(0));
    let counter = Rc::clone(&polls);
    let mut future = Box::pin(future);
    let counting = poll_fn(move |cx| {
        counter.set(counter.get() + 1);
        future.as_mut().poll(cx)
    });
    (polls, counting)
}

#[test]
fn data_that_nobody_waits_for_cost_one_event_at_most() {
    let stepped = stepped();
    for Pair { near, mut far, .. } in stepped.enter(pairs) {
        stepped.settle();
        far.write_all(b"hello").unwrap();
        wait_in_kernel(&near, PollFlags::IN);
        stepped.settle();
        stepped.assert_idle();
        far.shutdown(Shutdown::Both).unwrap();
        wait_in_kernel(&near, PollFlags::RDHUP);
        stepped.settle();
        stepped.assert_idle();
    }
}

#[test]
fn a_connection_that_nobody_accepts_does_not_keep_the_loop_busy() {
    let stepped = stepped();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = stepped.enter(|| Async::new(listener).unwrap());
    let _one = TcpStream::connect(address).unwrap();
    let accepted = stepped.block_on(listener.accept()).unwrap();
    let _other = TcpStream::connect(address).unwrap();
    wait_in_kernel(&listener, PollFlags::IN);
    stepped.settle();
    stepped.assert_idle();
    drop(accepted);
}

#[test]
fn a_reader_that_gave_up_does_not_keep_the_loop_busy() {
    let stepped = stepped();
    for Pair { mut near, mut far, .. } in stepped.enter(pairs) {
        let watcher = Watcher::new();
        let mut buf = [0; 2];
        assert!(stepped.poll(pin!(near.read(&mut buf)), &watcher).is_pending());
        stepped.settle();
        for _ in 0..3 {
            far.write_all(b"abc").unwrap();
            wait_in_kernel(&near, PollFlags::IN);
            stepped.settle();
            stepped.assert_idle();
            assert!(watcher.count() <= 1, "woken again and again");
        }
        assert_eq!(stepped.finish(pin!(near.read(&mut buf)), &watcher).unwrap(), 2);
        assert_eq!(&buf, b"ab");
    }
}

#[test]
fn a_writer_that_gave_up_does_not_keep_the_loop_busy() {
    let stepped = stepped();
    for Pair { mut near, far, .. } in stepped.enter(pairs) {
        let filled = fill_through(&stepped, &mut near);
        drain(&far, filled);
        wait_in_kernel(&near, PollFlags::OUT);
        stepped.settle();
        stepped.assert_idle();
        let watcher = Watcher::new();
        assert!(stepped.poll(pin!(near.write(b"x")), &watcher).is_ready());
    }
}

/// Writes until it would have to wait, and gives up.
fn fill_through(stepped: &Stepped, near: &mut (impl AsyncWriteExt + Unpin)) -> usize {
    let (watcher, bytes) = (Watcher::new(), [0; 64 * 1024]);
    let mut filled = 0;
    loop {
        match stepped.poll(pin!(near.write(&bytes)), &watcher) {
            std::task::Poll::Ready(len) => filled += len.unwrap(),
            std::task::Poll::Pending => return filled,
        }
    }
}

#[test]
fn a_writer_that_waits_does_not_spin_because_the_peer_said_it_is_done() {
    let stepped = stepped();
    for Pair { mut near, far, name } in stepped.enter(pairs) {
        let filled = fill_through(&stepped, &mut near);
        far.shutdown(Shutdown::Write).unwrap();
        wait_in_kernel(&near, PollFlags::RDHUP);
        let (polls, write) = counted(async move {
            near.write_all(b"x").await.unwrap();
            near
        });
        let write = stepped.spawn(write);
        stepped.settle();
        stepped.assert_idle();
        assert!(polls.get() <= 3, "{name}: polled {} times", polls.get());
        drain(&far, filled);
        stepped.until("the writer has room", || write.is_finished());
    }
}

#[test]
fn a_hang_up_ends_a_writer_that_waits_and_does_not_make_it_spin() {
    let stepped = stepped();
    for Pair { mut near, far, name } in stepped.enter(pairs) {
        fill_through(&stepped, &mut near);
        let (polls, write) = counted(async move {
            let error = near.write_all(b"x").await.unwrap_err();
            (near, error)
        });
        let write = stepped.spawn(write);
        stepped.settle();
        drop(far);
        stepped.until("the writer is told", || write.is_finished());
        let (near, error) = stepped.block_on(write);
        let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
        assert!(kinds.contains(&error.kind()), "{name}: {error}");
        assert!(polls.get() <= 4, "{name}: polled {} times", polls.get());
        stepped.settle();
        stepped.assert_idle();
        drop(near);
    }
}

#[test]
fn a_reader_that_waits_does_not_spin_because_there_is_room_to_write() {
    let stepped = stepped();
    for Pair { mut near, mut far, .. } in stepped.enter(pairs) {
        let filled = fill_through(&stepped, &mut near);
        let (polls, read) = counted(async move {
            assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 1);
            near
        });
        let read = stepped.spawn(read);
        stepped.settle();
        drain(&far, filled);
        stepped.settle();
        stepped.assert_idle();
        assert!(polls.get() <= 2, "polled {} times", polls.get());
        far.write_all(b"x").unwrap();
        stepped.until("the reader is served", || read.is_finished());
    }
}

#[test]
fn a_reader_polled_for_another_reason_costs_nothing_in_the_kernel() {
    let stepped = stepped();
    for Pair { mut near, .. } in stepped.enter(pairs) {
        let (watcher, mut buf) = (Watcher::new(), [0; 8]);
        let mut read = pin!(near.read(&mut buf));
        for _ in 0..100 {
            assert!(stepped.poll(read.as_mut(), &watcher).is_pending());
        }
        stepped.settle();
        stepped.assert_idle();
        assert_eq!(watcher.count(), 0);
    }
}

#[test]
fn an_unconnected_socket_says_so_and_does_not_spin() {
    let stepped = stepped();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let mut near = stepped.enter(|| Async::new(TcpStream::from(socket)).unwrap());
    let watcher = Watcher::new();
    let mut buf = [0; 8];
    let error = stepped.finish(pin!(near.read(&mut buf)), &watcher).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    let error = stepped.finish(pin!(near.write(b"x")), &watcher).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    stepped.settle();
    stepped.assert_idle();
}

#[test]
fn a_datagram_that_was_refused_is_told_once_and_does_not_spin() {
    let stepped = stepped();
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(nobody.local_addr().unwrap()).unwrap();
    drop(nobody);
    let socket = stepped.enter(|| Async::new(socket).unwrap());
    let watcher = Watcher::new();
    let mut buf = [0; 8];
    let mut receive = Box::pin(socket.recv(&mut buf));
    assert!(stepped.poll(receive.as_mut(), &watcher).is_pending());
    socket.get_ref().send(b"x").unwrap();
    let error = stepped.finish(receive.as_mut(), &watcher).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    drop(receive);
    let mut receive = pin!(socket.recv(&mut buf));
    assert!(stepped.poll(receive.as_mut(), &watcher).is_pending());
    stepped.settle();
    stepped.assert_idle();
}

#[test]
fn a_pipe_whose_writer_is_gone_does_not_keep_the_loop_busy() {
    let stepped = stepped();
    let (read, write) = pipe();
    let near = stepped.enter(|| Async::new(std::fs::File::from(read)).unwrap());
    stepped.settle();
    drop(write);
    stepped.settle();
    stepped.assert_idle();
    let read = pin!(near.read_with(|mut io| io.read(&mut [0; 8])));
    assert_eq!(stepped.finish(read, &Watcher::new()).unwrap(), 0);

    let (read, write) = pipe();
    let near = stepped.enter(|| Async::new(std::fs::File::from(write)).unwrap());
    fill(near.get_ref());
    drop(read);
    stepped.settle();
    stepped.assert_idle();
    let write = pin!(near.write_with(|mut io| io.write(b"x")));
    let error = stepped.finish(write, &Watcher::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}
