//! `Async<T>` itself: what may become one, and when its operations are tried.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::thread;

use futures::future::poll_fn;
use futures::io::AsyncReadExt;
use rustix::event::PollFlags;
use selkie::selector::BackendKind;
use selkie::{Async, yield_now};

use crate::liar;
use crate::util::{
    Pair, Stepped, Watcher, blocking_tcp_pair, drain, fill, is_nonblocking, near_and_far, pairs,
    refuses_regular_files, run, wait_in_kernel,
};

#[test]
fn an_operation_is_tried_first_and_again_only_after_an_event() {
    let _quiet = liar::only_hidden_lies("wakes are counted");
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let (tries, watcher) = (Cell::new(0), Watcher::new());
    let mut read = pin!(near.read_with(|mut io| {
        tries.set(tries.get() + 1);
        io.read(&mut [0; 8])
    }));
    assert!(stepped.poll(read.as_mut(), &watcher).is_pending());
    assert!(stepped.poll(read.as_mut(), &watcher).is_pending());
    assert_eq!(tries.get(), 1, "tried without an event");
    far.write_all(b"hello").unwrap();
    assert_eq!(stepped.finish(read, &watcher).unwrap(), 5);
    assert_eq!((tries.get(), watcher.count()), (2, 1));
}

#[test]
fn an_operation_that_succeeds_at_once_needs_no_turn() {
    let _quiet = liar::only_hidden_lies("wakes are counted");
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    far.write_all(b"hello").unwrap();
    let watcher = Watcher::new();
    let read = pin!(near.read_with(|mut io| io.read(&mut [0; 8])));
    assert!(stepped.poll(read, &watcher).is_ready());
    let write = pin!(near.write_with(|mut io| io.write(b"hello")));
    assert!(stepped.poll(write, &watcher).is_ready());
    assert_eq!(watcher.count(), 0);
}

#[test]
fn a_write_waits_for_room() {
    let _quiet = liar::only_hidden_lies("wakes are counted");
    let stepped = Stepped::new();
    let (near, far) = stepped.enter(near_and_far);
    let filled = fill(near.get_ref());
    let watcher = Watcher::new();
    let mut write = pin!(near.write_with(|mut io| io.write(b"x")));
    assert!(stepped.poll(write.as_mut(), &watcher).is_pending());
    stepped.settle();
    assert_eq!(watcher.count(), 0);
    drain(&far, filled);
    assert_eq!(stepped.finish(write, &watcher).unwrap(), 1);
}

#[test]
fn an_error_of_the_operation_is_passed_on_and_the_next_one_tried_at_once() {
    run(async || {
        let (near, mut far) = near_and_far();
        let failed = near.read_with(|_| Err::<(), _>(io::Error::other("mine"))).await;
        assert_eq!(failed.unwrap_err().to_string(), "mine");
        far.write_all(b"x").unwrap();
        assert_eq!(near.read_with(|mut io| io.read(&mut [0; 8])).await.unwrap(), 1);
    });
}

#[test]
fn an_interrupted_operation_is_tried_again_at_once() {
    run(async || {
        let (near, _far) = near_and_far();
        let mut tries = 0;
        let interrupted_twice = |_: &UnixStream| {
            tries += 1;
            if tries < 3 { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
        };
        near.read_with(interrupted_twice).await.unwrap();
        assert_eq!(tries, 3);
    });
}

#[test]
fn data_that_come_right_after_would_block_are_not_missed() {
    run(async || {
        let (near, far) = near_and_far();
        let written = Cell::new(false);
        let read = near.read_with(|mut io| {
            let result = io.read(&mut [0; 8]);
            if result.is_err() && !written.replace(true) {
                (&far).write_all(b"now").unwrap();
            }
            result
        });
        assert_eq!(read.await.unwrap(), 3);
    });
}

#[test]
fn readable_tells_what_is_so_though_the_source_is_read_directly() {
    let _quiet = liar::only_hidden_lies("nothing may happen by itself");
    let stepped = Stepped::new();
    let (near, mut far) = stepped.enter(near_and_far);
    let read_byte = || near.get_ref().read(&mut [0]).map_err(|error| error.kind());
    for _ in 0..3 {
        let watcher = Watcher::new();
        let mut readable = pin!(near.readable());
        assert!(stepped.poll(readable.as_mut(), &watcher).is_pending());
        far.write_all(b"abc").unwrap();
        stepped.finish(readable, &watcher).unwrap();
        for _ in 0..3 {
            assert!(stepped.poll(pin!(near.readable()), &watcher).is_ready());
            assert_eq!(read_byte(), Ok(1));
        }
        assert_eq!(read_byte(), Err(ErrorKind::WouldBlock));
        // Now the reactor believes in data that are gone.
        let mut readable = pin!(near.readable());
        assert!(stepped.poll(readable.as_mut(), &watcher).is_pending());
        stepped.settle();
        stepped.assert_idle();
    }
}

/// On a back end with edges that tells of a half-close. Elsewhere the read is tried.
#[test]
fn after_a_short_read_the_next_one_waits_for_an_event() {
    let is_spared = BackendKind::from_env().unwrap() == BackendKind::Epoll;
    let stepped = Stepped::new();
    for Pair { name, mut near, mut far } in stepped.enter(pairs) {
        let (watcher, mut buf) = (Watcher::new(), [0; 8]);
        far.write_all(b"abc").unwrap();
        let read = stepped.finish(pin!(near.read(&mut buf)), &watcher);
        assert_eq!(read.unwrap(), 3, "{name}");
        far.write_all(b"de").unwrap();
        let mut read = pin!(near.read(&mut buf));
        let polled = stepped.poll(read.as_mut(), &watcher);
        assert_eq!(polled.is_pending(), is_spared, "{name}");
        let read = match polled {
            Poll::Pending => stepped.finish(read, &watcher),
            Poll::Ready(read) => read,
        };
        assert_eq!(read.unwrap(), 2, "{name}");
    }
}

#[test]
fn the_end_of_a_stream_is_read_again_and_again_without_an_event() {
    let stepped = Stepped::new();
    for Pair { name, mut near, far } in stepped.enter(pairs) {
        drop(far);
        let (watcher, mut buf) = (Watcher::new(), [0; 8]);
        for _ in 0..3 {
            let polled = stepped.poll(pin!(near.read(&mut buf)), &watcher);
            assert!(matches!(polled, Poll::Ready(Ok(0))), "{name}");
        }
    }
}

#[test]
fn a_direct_read_leaves_the_rest_for_an_async_one() {
    run(async || {
        let (mut near, mut far) = near_and_far();
        let mut buf = [0; 8];
        far.write_all(b"abc").unwrap();
        // The short read lets the reactor believe that nothing is left.
        assert_eq!(near.read(&mut buf).await.unwrap(), 3);
        far.write_all(b"defg").unwrap();
        assert_eq!(near.get_ref().read(&mut buf[..1]).unwrap(), 1);
        assert_eq!(near.read(&mut buf).await.unwrap(), 3);
        assert_eq!(&buf[..3], b"efg");
    });
}

#[test]
fn writable_tells_what_is_so_though_the_source_is_written_directly() {
    let _quiet = liar::only_hidden_lies("nothing may happen by itself");
    let stepped = Stepped::new();
    let (near, far) = stepped.enter(near_and_far);
    for _ in 0..3 {
        let watcher = Watcher::new();
        assert!(stepped.poll(pin!(near.writable()), &watcher).is_ready());
        let filled = fill(near.get_ref());
        let mut writable = pin!(near.writable());
        assert!(stepped.poll(writable.as_mut(), &watcher).is_pending());
        stepped.settle();
        stepped.assert_idle();
        drain(&far, filled);
        stepped.finish(writable, &watcher).unwrap();
    }
}

#[test]
fn the_poll_functions_wait_and_go_on_like_the_async_ones() {
    run(async || {
        let (near, mut far) = near_and_far();
        let filled = fill(near.get_ref());
        let writer = thread::spawn(move || {
            far.write_all(b"ab").unwrap();
            drain(&far, filled);
            far
        });
        poll_fn(|cx| near.poll_readable(cx)).await.unwrap();
        let read = |mut io: &UnixStream| io.read(&mut [0; 2]);
        assert_eq!(poll_fn(|cx| near.poll_read_with(cx, read)).await.unwrap(), 2);
        poll_fn(|cx| near.poll_writable(cx)).await.unwrap();
        let write = |mut io: &UnixStream| io.write(b"x");
        assert_eq!(poll_fn(|cx| near.poll_write_with(cx, write)).await.unwrap(), 1);
        let _far = writer.join().unwrap();
    });
}

#[test]
fn a_blocking_socket_handed_in_does_not_block_the_loop() {
    run(async || {
        let (near, mut far) = blocking_tcp_pair();
        let mut near = Async::new(near).unwrap();
        let reader = selkie::spawn(async move { near.read(&mut [0; 8]).await });
        for _ in 0..10 {
            yield_now().await; // Would not come back.
        }
        assert!(!reader.is_finished());
        far.write_all(b"hello").unwrap();
        assert_eq!(reader.await.unwrap(), 5);
    });
}

#[test]
fn every_way_in_makes_a_socket_nonblocking() {
    run(async || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (stream, _far) = blocking_tcp_pair();
        let (unix, _far) = UnixStream::pair().unwrap();
        let (datagram, _far) = UnixDatagram::pair().unwrap();
        let path = std::env::temp_dir().join(format!("selkie-way-in-{}", std::process::id()));
        let unix_listener = UnixListener::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(is_nonblocking(Async::try_from(listener).unwrap()));
        assert!(is_nonblocking(Async::try_from(udp).unwrap()));
        assert!(is_nonblocking(Async::try_from(stream).unwrap()));
        assert!(is_nonblocking(Async::try_from(unix).unwrap()));
        assert!(is_nonblocking(Async::try_from(datagram).unwrap()));
        assert!(is_nonblocking(Async::try_from(unix_listener).unwrap()));
    });
}

#[test]
fn a_regular_file_is_refused_or_is_always_ready() {
    run(async || {
        let file = File::open(file!()).unwrap();
        if refuses_regular_files() {
            let error = Async::new(file).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        } else {
            let mut text = String::new();
            Async::new(file).unwrap().read_to_string(&mut text).await.unwrap();
            assert_eq!(text, include_str!("source.rs"));
        }
    });
}

#[test]
fn a_descriptor_that_is_async_already_is_refused_until_the_first_one_is_gone() {
    run(async || {
        let stream = Rc::new(UnixStream::pair().unwrap().0);
        let first = Async::new(Rc::clone(&stream)).unwrap();
        let error = Async::new(Rc::clone(&stream)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        drop(first);
        Async::new(stream).unwrap();
    });
}

#[test]
fn two_descriptors_of_one_socket_are_two_sources() {
    run(async || {
        let (near, mut far) = blocking_tcp_pair();
        let twin = Async::new(near.try_clone().unwrap()).unwrap();
        let near = Async::new(near).unwrap();
        far.write_all(b"ab").unwrap();
        wait_in_kernel(&near, PollFlags::IN);
        let (one, other) = futures::join!(near.readable(), twin.readable());
        one.and(other).unwrap();
        let mut buf = [0];
        assert_eq!((&near).read(&mut buf).await.unwrap(), 1);
        assert_eq!((&twin).read(&mut buf).await.unwrap(), 1);
        assert_eq!(&buf, b"b");
    });
}

#[test]
#[should_panic(expected = "call this inside Runtime::block_on, Runtime::enter or a task")]
fn a_source_made_outside_a_runtime_panics_and_says_where_it_belongs() {
    let _ = Async::new(UnixStream::pair().unwrap().0);
}

#[test]
fn a_source_lends_its_descriptor_and_what_is_inside() {
    run(async || {
        let (near, _far) = blocking_tcp_pair();
        let number = near.as_raw_fd();
        let near = Async::new(near).unwrap();
        assert_eq!((near.as_raw_fd(), near.as_fd().as_raw_fd()), (number, number));
        assert_eq!(near.get_ref().as_raw_fd(), number);
        assert_eq!(AsRef::<TcpStream>::as_ref(&near).as_raw_fd(), number);
        assert!(format!("{near:?}").starts_with("Async { io: TcpStream"), "{near:?}");
    });
}
