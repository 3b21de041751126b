//! The descriptor's blocking mode, which others may share.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use selkie::{Async, Runtime};

use crate::util::{blocking_tcp_pair, is_nonblocking, pipe, refuses_regular_files, run};

/// The read end of a pipe, as an inherited standard input is, and another descriptor of it, as
/// the shell has.
fn shared_input() -> (OwnedFd, OwnedFd) {
    let (read, _write) = pipe();
    let shared = read.try_clone().unwrap();
    (read, shared)
}

fn set_nonblocking(fd: impl AsFd) {
    let flags = fcntl_getfl(&fd).unwrap();
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK).unwrap();
}

#[test]
fn a_shared_standard_input_is_blocking_again_when_the_source_is_dropped() {
    run(async || {
        let (input, shared) = shared_input();
        let input = Async::new(input).unwrap();
        assert!(is_nonblocking(&shared));
        drop(input);
        assert!(!is_nonblocking(&shared));
    });
}

#[test]
fn a_source_that_is_taken_out_is_blocking_again() {
    run(async || {
        let input = Async::new(shared_input().0).unwrap();
        assert!(!is_nonblocking(input.into_inner().unwrap()));
        let socket = Async::new(UnixStream::pair().unwrap().0).unwrap();
        assert!(!is_nonblocking(socket.into_inner().unwrap()));
    });
}

#[test]
fn a_clone_of_a_socket_does_not_block_the_loop_when_its_twin_is_dropped() {
    run(async || {
        let (stream, _far) = blocking_tcp_pair();
        let twin = Async::new(stream.try_clone().unwrap()).unwrap();
        let stream = Async::new(stream).unwrap();
        drop(twin);
        assert!(is_nonblocking(stream));
    });
}

#[test]
fn a_source_that_was_nonblocking_stays_so() {
    run(async || {
        let (input, shared) = shared_input();
        set_nonblocking(&input);
        let input = Async::new(input).unwrap().into_inner().unwrap();
        assert!(is_nonblocking(&shared));
        drop(Async::new_nonblocking(input).unwrap());
        assert!(is_nonblocking(&shared));
    });
}

#[test]
fn other_flags_are_left_alone_and_those_that_were_set_meanwhile_too() {
    run(async || {
        let (_read, write) = pipe();
        let shared = write.try_clone().unwrap();
        fcntl_setfl(&shared, fcntl_getfl(&shared).unwrap() | OFlags::DIRECT).unwrap();
        let output = Async::new(write).unwrap();
        fcntl_setfl(&shared, fcntl_getfl(&shared).unwrap() | OFlags::APPEND).unwrap();
        drop(output);
        let flags = fcntl_getfl(&shared).unwrap();
        assert!(flags.contains(OFlags::DIRECT | OFlags::APPEND), "{flags:?}");
        assert!(!flags.contains(OFlags::NONBLOCK));
    });
}

#[test]
fn a_source_that_is_refused_keeps_its_flags() {
    run(async || {
        let file = File::open(file!()).unwrap();
        let shared = file.try_clone().unwrap();
        assert_eq!(Async::new(file).is_err(), refuses_regular_files());
        assert!(!is_nonblocking(shared));
    });
}

#[test]
fn a_source_that_outlives_its_runtime_is_blocking_again_all_the_same() {
    let (input, shared) = shared_input();
    let runtime = Runtime::new().unwrap();
    let input = runtime.enter(|| Async::new(input).unwrap());
    drop(runtime);
    drop(input);
    assert!(!is_nonblocking(shared), "O_NONBLOCK leaks to whoever shares the descriptor");

    let (stream, _far) = UnixStream::pair().unwrap();
    let runtime = Runtime::new().unwrap();
    let stream = runtime.enter(|| Async::new(stream).unwrap());
    drop(runtime);
    assert!(!is_nonblocking(stream.into_inner().unwrap()));
}

#[test]
fn a_panic_that_drops_the_source_makes_it_blocking_again() {
    let (input, shared) = shared_input();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        selkie::block_on(async {
            let _input = Async::new(input).unwrap();
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err() && !is_nonblocking(shared));
}
