//! Standard output and error.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::thread;

use futures::AsyncWriteExt;
use rustix::fs::{MemfdFlags, memfd_create};
use selkie::io::{stderr, stdout};

use crate::terminal::terminal;
use crate::util::{SILENCE, Stepped, Watcher, drain, is_nonblocking, pipe, run};
use crate::{redirect_output, with_stdio};

/// More than a pipe or a socket holds. Bytes.
const MUCH: usize = 1 << 20;

/// Writes until the output takes no more, then insists that the loop sleeps, and that it goes on
/// when `far` is read; `shared` shares the output.
fn write_much(stepped: &Stepped, shared: impl AsFd, far: impl Read + AsFd + Send + 'static) {
    let watcher = Watcher::new();
    let bytes = vec![b'.'; MUCH];
    let mut output = stepped.enter(|| stdout().unwrap());
    let mut write = pin!(output.write_all(&bytes));
    // The system moves what a terminal was given on, a moment later.
    loop {
        assert!(stepped.poll(write.as_mut(), &watcher).is_pending());
        if stepped.turn(Some(SILENCE)).unwrap().is_idle() {
            break;
        }
    }
    stepped.assert_idle();
    assert!(!is_nonblocking(&shared), "println! would fail");
    let reader = thread::spawn(move || drain(far, MUCH));
    stepped.finish(write, &watcher).unwrap();
    reader.join().unwrap();
    assert!(!is_nonblocking(&shared));
}

#[test]
fn a_full_pipe_is_waited_for_and_println_goes_on_to_work() {
    with_stdio(|| {
        let (read, write) = pipe();
        let redirected = redirect_output(&write);
        write_much(&Stepped::new(), &write, File::from(read));
        drop(redirected);
    });
}

#[test]
fn a_full_socket_is_waited_for_and_stays_blocking() {
    with_stdio(|| {
        let (near, far) = UnixStream::pair().unwrap();
        let redirected = redirect_output(&near);
        write_much(&Stepped::new(), &near, far);
        drop(redirected);
    });
}

#[test]
fn a_full_terminal_is_waited_for_and_stays_blocking() {
    with_stdio(|| {
        let (master, slave) = terminal();
        let redirected = redirect_output(&slave);
        write_much(&Stepped::new(), &slave, master);
        drop(redirected);
    });
}

#[test]
fn a_file_is_written_where_println_goes_on() {
    with_stdio(|| {
        let mut file = File::from(memfd_create("output", MemfdFlags::CLOEXEC).unwrap());
        let redirected = redirect_output(&file);
        println!("by println");
        run(async || {
            stdout().unwrap().write_all(b"by a task\n").await.unwrap();
            stderr().unwrap().write_all(b"and its errors\n").await.unwrap();
        });
        println!("by println again");
        drop(redirected);
        let mut written = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut written).unwrap();
        assert_eq!(written, "by println\nby a task\nand its errors\nby println again\n");
    });
}

#[test]
fn dev_null_takes_all_and_dev_full_nothing() {
    with_stdio(|| {
        for (device, result) in [("/dev/null", Ok(())), ("/dev/full", Err(ErrorKind::StorageFull))]
        {
            let redirected = redirect_output(File::options().write(true).open(device).unwrap());
            run(async move || {
                let written = stdout().unwrap().write_all(&[0; MUCH]).await;
                assert_eq!(written.map_err(|error| error.kind()), result, "{device}");
            });
            drop(redirected);
        }
    });
}

#[test]
fn a_pipe_that_nobody_reads_is_an_error_and_no_signal() {
    with_stdio(|| {
        let (read, write) = pipe();
        let redirected = redirect_output(&write);
        // Once the reader goes after, and once before the output is opened.
        let reader = std::cell::Cell::new(Some(read));
        for goes_after in [true, false] {
            let stepped = Stepped::new();
            let mut output = stepped.enter(|| stdout().unwrap());
            if goes_after {
                drop(reader.take());
            }
            let written = stepped.finish(pin!(output.write_all(b"x")), &Watcher::new());
            assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
        drop(redirected);
    });
}

#[test]
fn to_close_it_closes_nothing_that_others_use() {
    with_stdio(|| {
        let (read, write) = pipe();
        let redirected = redirect_output(write);
        run(async || {
            let mut output = stdout().unwrap();
            output.write_all(b"before").await.unwrap();
            output.flush().await.unwrap();
            output.close().await.unwrap();
        });
        std::io::stdout().write_all(b" and after\n").unwrap();
        drop(redirected);
        let mut written = String::new();
        File::from(read).read_to_string(&mut written).unwrap();
        assert_eq!(written, "before and after\n");
    });
}
