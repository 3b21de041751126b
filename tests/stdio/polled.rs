//! Pipes and terminals that may not be opened anew, and what is neither.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::pin;
use std::thread;

use futures::{AsyncReadExt, AsyncWriteExt};
use nix::unistd::{Uid, seteuid};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{Mode, fchmod};
use selkie::io::{stdin, stdout};

use crate::terminal::terminal;
use crate::util::{Stepped, Watcher, drain, is_nonblocking, pipe, run};
use crate::{redirect_input, redirect_output, with_stdio};

/// Takes away the right to open this again.
fn forbid_opening(fd: impl AsFd) {
    fchmod(&fd, Mode::empty()).unwrap();
    if Uid::effective().is_root() {
        // Root may open all.
        seteuid(Uid::from_raw(65534)).unwrap();
    }
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    assert!(File::open(path).is_err(), "this test cannot forbid it");
}

/// A read that waits, and one that ends with the input.
fn read_twice(send: impl FnOnce(), end: impl FnOnce()) {
    let stepped = Stepped::new();
    let (watcher, mut buf) = (Watcher::new(), [0; 64]);
    let mut input = stepped.enter(|| stdin().unwrap());
    {
        let mut read = pin!(input.read(&mut buf));
        assert!(stepped.poll(read.as_mut(), &watcher).is_pending());
        stepped.settle();
        stepped.assert_idle();
        send();
        assert_eq!(stepped.finish(read, &watcher).unwrap(), 5);
    }
    assert_eq!(&buf[..5], b"late\n");
    end();
    assert_eq!(stepped.finish(pin!(input.read(&mut buf)), &watcher).unwrap(), 0);
}

#[test]
fn a_pipe_of_another_user_is_waited_for_and_stays_blocking() {
    with_stdio(|| {
        let (read, write) = pipe();
        redirect_input(&read);
        forbid_opening(&read);
        let write = std::cell::Cell::new(Some(File::from(write)));
        let send = || {
            assert!(!is_nonblocking(&read));
            let mut open = write.take().unwrap();
            open.write_all(b"late\n").unwrap();
            write.set(Some(open));
        };
        read_twice(send, || drop(write.take()));
    });
}

#[test]
fn a_terminal_of_another_user_is_waited_for_and_stays_blocking() {
    with_stdio(|| {
        let (mut master, slave) = terminal();
        redirect_input(&slave);
        forbid_opening(&slave);
        let mut other = master.try_clone().unwrap();
        read_twice(|| master.write_all(b"late\n").unwrap(), || other.write_all(b"\x04").unwrap());
        assert!(!is_nonblocking(&slave));
    });
}

#[test]
fn a_full_pipe_of_another_user_is_waited_for_and_does_not_block_the_loop() {
    const MUCH: usize = 1 << 20;

    with_stdio(|| {
        let (read, write) = pipe();
        let redirected = redirect_output(&write);
        forbid_opening(&write);
        let stepped = Stepped::new();
        let watcher = Watcher::new();
        let bytes = vec![b'.'; MUCH];
        let mut output = stepped.enter(|| stdout().unwrap());
        let mut written = pin!(output.write_all(&bytes));
        assert!(stepped.poll(written.as_mut(), &watcher).is_pending());
        stepped.settle();
        stepped.assert_idle();
        assert!(!is_nonblocking(&write));
        let reader = thread::spawn(move || drain(File::from(read), MUCH));
        stepped.finish(written, &watcher).unwrap();
        reader.join().unwrap();
        drop(redirected);
    });
}

#[test]
fn what_is_no_file_pipe_terminal_or_socket_is_waited_for() {
    with_stdio(|| {
        let counter: OwnedFd = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        redirect_input(&counter);
        let stepped = Stepped::new();
        let (watcher, mut value) = (Watcher::new(), [0; 8]);
        let mut input = stepped.enter(|| stdin().unwrap());
        let mut read = pin!(input.read_exact(&mut value));
        assert!(stepped.poll(read.as_mut(), &watcher).is_pending());
        rustix::io::write(&counter, &7_u64.to_ne_bytes()).unwrap();
        stepped.finish(read, &watcher).unwrap();
        assert_eq!(u64::from_ne_bytes(value), 7);
    });
}

#[test]
fn output_to_a_device_that_is_no_terminal_is_written_as_it_is() {
    with_stdio(|| {
        let redirected =
            redirect_output(File::options().read(true).write(true).open("/dev/zero").unwrap());
        run(async || stdout().unwrap().write_all(b"gone").await.unwrap());
        drop(redirected);
    });
}
