//! Standard input.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;

use futures::{AsyncBufReadExt, AsyncReadExt, FutureExt, TryStreamExt};
use rustix::event::PollFlags;
use rustix::fs::{MemfdFlags, memfd_create};
use selkie::io::{stdin, stdout};

use crate::alone::threads;
use crate::terminal::terminal;
use crate::util::{
    Stepped, Watcher, blocking_tcp_pair, is_nonblocking, open_descriptors, pipe, run,
    wait_in_kernel,
};
use crate::{redirect_input, redirect_output, with_stdio};

/// The bytes of one read that is waited for, while `send` is done after the loop came to rest.
fn read_late(stepped: &Stepped, send: impl FnOnce()) -> Vec<u8> {
    let watcher = Watcher::new();
    let mut input = stepped.enter(|| stdin().unwrap());
    let mut buf = [0; 64];
    let mut read = pin!(input.read(&mut buf));
    assert!(stepped.poll(read.as_mut(), &watcher).is_pending());
    stepped.settle();
    stepped.assert_idle();
    send();
    let len = stepped.finish(read.as_mut(), &watcher).unwrap();
    buf[..len].to_vec()
}

/// What is left of the input, for a task.
async fn all_of_input() -> Vec<u8> {
    let mut bytes = Vec::new();
    stdin().unwrap().read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// What is left of the input, turn by turn.
fn read_to_end(stepped: &Stepped) -> Vec<u8> {
    let (watcher, mut bytes) = (Watcher::new(), Vec::new());
    let mut input = stepped.enter(|| stdin().unwrap());
    stepped.finish(pin!(input.read_to_end(&mut bytes)), &watcher).unwrap();
    bytes
}

#[test]
fn a_pipe_is_waited_for_and_stays_blocking_for_the_shell() {
    with_stdio(|| {
        let (read, write) = pipe();
        let shell = read.try_clone().unwrap();
        redirect_input(read);
        let arrived = read_late(&Stepped::new(), || {
            assert!(!is_nonblocking(&shell));
            rustix::io::write(&write, b"late").unwrap();
        });
        assert_eq!(arrived, b"late");
        assert!(!is_nonblocking(&shell));
        drop(write);
        run(async || assert_eq!(all_of_input().await, b""));
    });
}

#[test]
fn a_pipe_whose_writer_is_gone_is_read_to_its_end() {
    with_stdio(|| {
        let (read, write) = pipe();
        redirect_input(read);
        rustix::io::write(&write, b"left behind").unwrap();
        drop(write);
        run(async || assert_eq!(all_of_input().await, b"left behind"));
    });
}

#[test]
fn a_pipe_carries_more_than_it_holds() {
    with_stdio(|| {
        let (read, write) = pipe();
        redirect_input(read);
        let bytes: Vec<u8> = (0..1 << 20).map(|i| (i % 251) as u8).collect();
        let copy = bytes.clone();
        let writer = std::thread::spawn(move || File::from(write).write_all(&copy).unwrap());
        run(async move || assert!(all_of_input().await == bytes, "the bytes differ"));
        writer.join().unwrap();
    });
}

#[test]
fn a_terminal_gives_a_line_at_a_time_and_stays_blocking_for_the_shell() {
    with_stdio(|| {
        let (mut master, slave) = terminal();
        redirect_input(&slave);
        let stepped = Stepped::new();
        let arrived = read_late(&stepped, || {
            assert!(!is_nonblocking(&slave));
            master.write_all(b"typed\n").unwrap();
        });
        assert_eq!(arrived, b"typed\n");
        // Lines that are typed ahead are not lost, though each read gets one.
        master.write_all(b"one\nand two\n\x04").unwrap();
        wait_in_kernel(&slave, PollFlags::IN);
        let (watcher, mut buf) = (Watcher::new(), [0; 64]);
        let mut input = stepped.enter(|| stdin().unwrap());
        for len in [4, 8, 0] {
            assert_eq!(stepped.finish(pin!(input.read(&mut buf)), &watcher).unwrap(), len);
        }
        assert!(!is_nonblocking(&slave));
    });
}

#[test]
fn a_terminal_becomes_nobodys_controlling_terminal() {
    with_stdio(|| {
        let (_master, slave) = terminal();
        redirect_input(&slave);
        // Without one of its own, a session leader takes the first terminal that it opens.
        rustix::process::setsid().unwrap();
        run(async || drop(stdin().unwrap()));
        let error = File::open("/dev/tty").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::NXIO.raw_os_error()));
    });
}

#[test]
fn a_terminal_that_is_closed_ends_the_input() {
    with_stdio(|| {
        let (master, slave) = terminal();
        redirect_input(slave);
        let arrived = read_late(&Stepped::new(), move || drop(master));
        assert_eq!(arrived, b"");
    });
}

#[test]
fn a_socket_is_waited_for_and_stays_blocking() {
    with_stdio(|| {
        let (near, mut far) = UnixStream::pair().unwrap();
        redirect_input(&near);
        let stepped = Stepped::new();
        let arrived = read_late(&stepped, || {
            assert!(!is_nonblocking(&near));
            far.write_all(b"by socket").unwrap();
        });
        assert_eq!(arrived, b"by socket");
        drop(far);
        assert_eq!(read_to_end(&stepped), b"");
    });
}

#[test]
fn one_socket_is_input_and_output_as_a_super_server_has_it() {
    with_stdio(|| {
        let (near, mut far) = blocking_tcp_pair();
        redirect_input(&near);
        let redirected = redirect_output(&near);
        drop(near);
        far.write_all(b"echo this").unwrap();
        far.shutdown(std::net::Shutdown::Write).unwrap();
        run(async || {
            let copied = futures::io::copy(stdin().unwrap(), &mut stdout().unwrap()).await;
            assert_eq!(copied.unwrap(), 9);
        });
        let mut echo = [0; 9];
        far.read_exact(&mut echo).unwrap();
        assert_eq!(&echo, b"echo this");
        drop(redirected);
    });
}

#[test]
fn a_file_is_read_to_its_end_from_where_it_stands() {
    with_stdio(|| {
        let mut file = File::from(memfd_create("input", MemfdFlags::CLOEXEC).unwrap());
        file.write_all(b"read already, and this").unwrap();
        file.seek(SeekFrom::Start(14)).unwrap();
        redirect_input(&file);
        run(async || assert_eq!(all_of_input().await, b"and this"));
        // The position belongs to all who share it, as with any program that reads it.
        assert_eq!(file.stream_position().unwrap(), 22);
    });
}

#[test]
fn dev_null_ends_at_once() {
    with_stdio(|| {
        redirect_input(File::open("/dev/null").unwrap());
        run(async || assert_eq!(all_of_input().await, b""));
    });
}

#[test]
fn input_that_is_always_ready_leaves_the_loop_to_others() {
    with_stdio(|| {
        redirect_input(File::open("/dev/zero").unwrap());
        run(async || {
            let reading = selkie::spawn(async {
                let (mut input, mut buf) = (stdin().unwrap(), [0; 64]);
                while input.read(&mut buf).await.unwrap() > 0 {}
            });
            // Only if the reading yields does anything else go on.
            selkie::sleep(std::time::Duration::from_millis(1)).map(drop).await;
            drop(reading);
        });
    });
}

#[test]
fn a_directory_is_an_error_of_the_read() {
    with_stdio(|| {
        redirect_input(File::open("/").unwrap());
        run(async || {
            let error = stdin().unwrap().read(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        });
    });
}

#[test]
fn it_may_be_opened_twice_and_what_one_takes_the_other_does_not_get() {
    with_stdio(|| {
        let (near, far) = UnixStream::pair().unwrap();
        for (read, write) in [pipe(), (near.into(), far.into())] {
            redirect_input(read);
            run(async move || {
                let [mut one, mut other] = [stdin().unwrap(), stdin().unwrap()];
                let mut buf = [[0; 1]; 2];
                for byte in 0..100 {
                    rustix::io::write(&write, &[byte, byte + 1]).unwrap();
                    let [first, second] = &mut buf;
                    one.read_exact(first).await.unwrap();
                    other.read_exact(second).await.unwrap();
                    assert_eq!(buf, [[byte], [byte + 1]]);
                }
            });
        }
    });
}

#[test]
fn lines_come_through_a_buffer() {
    with_stdio(|| {
        let (read, write) = pipe();
        redirect_input(read);
        rustix::io::write(&write, b"one\ntwo\n").unwrap();
        drop(write);
        run(async || {
            let lines = futures::io::BufReader::new(stdin().unwrap()).lines();
            let lines: Vec<String> = lines.try_collect().await.unwrap();
            assert_eq!(lines, ["one", "two"]);
        });
    });
}

#[test]
fn input_starts_no_thread_and_leaves_no_descriptor_open() {
    with_stdio(|| {
        let stepped = Stepped::new();
        let (threads_before, open_before) = (threads(), open_descriptors());
        let inputs: [Box<dyn Fn()>; 4] = [
            Box::new(|| redirect_input(pipe().0)),
            Box::new(|| redirect_input(UnixStream::pair().unwrap().0)),
            Box::new(|| redirect_input(File::open("/dev/null").unwrap())),
            Box::new(|| redirect_input(File::open(file!()).unwrap())),
        ];
        for redirect in inputs {
            redirect();
            let _ = read_to_end(&stepped);
            assert_eq!((threads(), open_descriptors()), (threads_before, open_before));
        }
    });
}

#[test]
fn a_program_that_is_killed_leaves_the_terminal_to_the_shell_as_it_was() {
    with_stdio(|| {
        let (_master, slave) = terminal();
        redirect_input(&slave);
        let stepped = Stepped::new();
        // A program that is killed runs no destructor.
        std::mem::forget(stepped.enter(|| stdin().unwrap()));
        assert!(!is_nonblocking(&slave));
    });
}
