//! Blocking mode, which belongs to the open file and not to a descriptor.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use selkie::Async;

use crate::terminal::terminal;
use crate::util::wakers::Bomb;
use crate::util::{Stepped, Watcher, blocking_tcp_pair, is_nonblocking, pipe, run};

/// Two descriptors of one open file, as standard input and output of a terminal are, and a third
/// one to look at it.
fn of_one_terminal() -> ([OwnedFd; 2], OwnedFd, std::fs::File) {
    let (controller, terminal) = terminal();
    let terminal = OwnedFd::from(terminal);
    let clone = || terminal.try_clone().unwrap();
    ([clone(), clone()], clone(), controller)
}

#[test]
fn the_mode_of_a_file_that_two_sources_share_is_given_back_by_the_last_one() {
    run(async || {
        let ([input, output], shell, _controller) = of_one_terminal();
        let input = Async::new(input).unwrap();
        let output = Async::new(output).unwrap();
        drop(input);
        assert!(is_nonblocking(&shell), "the other one still needs it");
        drop(output);
        assert!(!is_nonblocking(&shell));
    });
}

#[test]
fn the_loop_does_not_freeze_when_one_of_two_sources_of_a_pipe_is_dropped() {
    let stepped = Stepped::new();
    let (read, write) = pipe();
    for gone in 0..2 {
        let twins = [read.try_clone().unwrap(), read.try_clone().unwrap()];
        let mut twins = twins.map(|twin| Some(stepped.enter(|| Async::new(twin)).unwrap()));
        twins[gone] = None;
        let left = twins[1 - gone].take().unwrap();
        let mut buf = [0; 8];
        let mut reader = &left;
        let mut waits = pin!(reader.read(&mut buf));
        let watcher = Watcher::new();
        // A blocking read would be the end of this test.
        assert!(stepped.poll(waits.as_mut(), &watcher).is_pending());
        rustix::io::write(&write, b"hello").unwrap();
        assert_eq!(stepped.finish(waits, &watcher).unwrap(), 5);
    }
    assert!(!is_nonblocking(&read));
}

#[test]
fn taking_one_out_does_not_give_the_mode_back_either_while_another_is_there() {
    run(async || {
        let (near, _far) = blocking_tcp_pair();
        let clone = Async::new(near.try_clone().unwrap()).unwrap();
        let near = Async::new(near).unwrap();
        let near = near.into_inner().unwrap();
        assert!(is_nonblocking(&near));
        assert!(!is_nonblocking(clone.into_inner().unwrap()));
    });
}

#[test]
fn files_of_one_name_that_were_opened_apart_are_given_back_apart() {
    run(async || {
        let folder = std::env::temp_dir().join(format!("selkie-modes-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let open = || std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let (one, other) = (open(), open());
        let [one_again, other_again] = [&one, &other].map(|file| file.try_clone().unwrap());
        let one = Async::new(one).unwrap();
        let other = Async::new(other).unwrap();
        drop(one);
        assert!(!is_nonblocking(&one_again) && is_nonblocking(&other_again));
        drop(other);
        assert!(!is_nonblocking(&other_again));
        std::fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_file_that_was_nonblocking_for_others_stays_so_beside_one_that_was_not() {
    run(async || {
        let (read, write) = pipe();
        let keeps = write.try_clone().unwrap();
        let flags = fcntl_getfl(&write).unwrap();
        fcntl_setfl(&write, flags | OFlags::NONBLOCK).unwrap();
        let read = Async::new(read).unwrap();
        let write = Async::new(write).unwrap();
        drop((read, write));
        assert!(is_nonblocking(keeps), "the two ends are one pipe, but two open files");
    });
}

#[test]
fn a_waker_that_panics_as_a_source_goes_does_not_keep_the_mode() {
    let stepped = Stepped::new();
    let (read, _write) = pipe();
    let keeps = read.try_clone().unwrap();
    let source = stepped.enter(|| Async::new(read)).unwrap();
    let waker = Bomb::waker();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(source.poll_readable(&mut cx).is_pending());
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(source)));
    assert!(dropped.is_err(), "the waker's panic goes on");
    assert!(!is_nonblocking(keeps));
}

#[test]
fn reads_and_writes_of_sockets_do_not_depend_on_their_mode() {
    run(async || {
        let (near, far) = UnixStream::pair().unwrap();
        let other = near.try_clone().unwrap();
        let mut near = Async::new(near).unwrap();
        // As a part of the program may do that knows nothing of the loop.
        other.set_nonblocking(false).unwrap();
        let mut buf = [0; 8];
        let waits = futures::poll!(near.read(&mut buf));
        assert!(waits.is_pending(), "a blocking read would be the end of this test");
        (&far).write_all(b"hello").unwrap();
        assert_eq!(near.read(&mut buf).await.unwrap(), 5);
        let chunk = [0; 65_536];
        while let std::task::Poll::Ready(written) = futures::poll!(near.write(&chunk)) {
            written.unwrap();
        }
        drop(far);
        assert!(other.as_fd().try_clone_to_owned().is_ok());
        let mut rest = Vec::new();
        let _ = (&other).read_to_end(&mut rest);
    });
}

#[test]
fn a_clone_of_an_async_keeps_the_source_until_the_last_one_is_gone() {
    run(async || {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut reader = Async::new(near).unwrap();
        let mut writer = reader.clone();
        let error = reader.clone().into_inner().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
        let echo = selkie::spawn(async move {
            let mut buf = [0; 8];
            let len = reader.read(&mut buf).await.unwrap();
            (buf, len)
        });
        writer.write_all(b"hi").await.unwrap();
        let mut buf = [0; 2];
        far.read_exact(&mut buf).unwrap();
        far.write_all(&buf).unwrap();
        assert_eq!(echo.await.1, 2);
        far.set_nonblocking(true).unwrap();
        let error = far.read(&mut buf).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "the writer keeps it open");
        drop(writer);
        assert_eq!(far.read(&mut buf).unwrap(), 0);
    });
}

#[test]
fn a_source_is_made_of_a_descriptor_and_a_descriptor_of_a_source() {
    run(async || {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut near = Async::<UnixStream>::try_from(OwnedFd::from(near)).unwrap();
        near.write_all(b"hi").await.unwrap();
        let mut buf = [0; 2];
        far.read_exact(&mut buf).unwrap();
        let near = OwnedFd::try_from(near).unwrap();
        assert!(!is_nonblocking(&near), "as it was found");
    });
}
