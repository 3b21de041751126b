//! What is no socket: pipes, terminals, counters and clocks with a descriptor. A read of these
//! that returns little does not mean that there is no more.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::time::Duration;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use rustix::event::{EventfdFlags, PollFlags, eventfd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use selkie::{Async, yield_now};

use crate::terminal::terminal;
use crate::util::{Stepped, Watcher, pipe, refuses_regular_files, run, wait_in_kernel};

fn read(io: &OwnedFd, buf: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(io, buf)?)
}

fn async_pipe() -> (Async<File>, Async<File>) {
    let (read, write) = pipe();
    (Async::new(read.into()).unwrap(), Async::new(write.into()).unwrap())
}

#[test]
fn a_pipe_carries_more_than_it_holds() {
    run(async || {
        let (mut reader, mut writer) = async_pipe();
        let bytes: Vec<u8> = (0..1 << 20).map(|i| (i % 253) as u8).collect();
        let copy = bytes.clone();
        let writing = selkie::spawn(async move {
            writer.write_all(&copy).await.unwrap();
        });
        let mut arrived = Vec::new();
        reader.read_to_end(&mut arrived).await.unwrap();
        writing.await;
        assert!(arrived == bytes, "what came out of the pipe differs");
    });
}

#[test]
fn a_pipe_whose_reader_is_gone_says_so_to_its_writer() {
    run(async || {
        let (reader, writer) = async_pipe();
        let full = crate::util::fill(writer.get_ref());
        assert!(full > 0);
        let write = writer.write_with(|mut io| io.write(b"x"));
        let close = async {
            yield_now().await;
            drop(reader);
        };
        let (result, ()) = futures::join!(write, close);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_pipe_of_packets_hands_them_out_one_by_one() {
    run(async || {
        let (reader, writer) = pipe_with(PipeFlags::DIRECT | PipeFlags::CLOEXEC).unwrap();
        let (mut reader, mut writer) =
            (Async::new(File::from(reader)).unwrap(), File::from(writer));
        let mut buf = [0; 64];
        for _ in 0..3 {
            writer.write_all(b"one").unwrap();
            writer.write_all(b"two!").unwrap();
            assert_eq!(reader.read(&mut buf).await.unwrap(), 3);
            assert_eq!(reader.read(&mut buf).await.unwrap(), 4);
        }
    });
}

#[test]
fn a_socket_of_records_hands_them_out_one_by_one() {
    run(async || {
        let (unix, seqpacket) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (near, far) = socketpair(unix, seqpacket, SocketFlags::CLOEXEC, None).unwrap();
        let near = Async::new(near).unwrap();
        let mut buf = [0; 64];
        for _ in 0..3 {
            rustix::io::write(&far, b"one").unwrap();
            rustix::io::write(&far, b"two!").unwrap();
            assert_eq!(near.read_with(|io| read(io, &mut buf)).await.unwrap(), 3);
            assert_eq!(near.read_with(|io| read(io, &mut buf)).await.unwrap(), 4);
        }
    });
}

#[test]
fn an_eventfd_counts() {
    run(async || {
        let counter = Async::new(eventfd(0, EventfdFlags::CLOEXEC).unwrap()).unwrap();
        let take = async |counter: &Async<OwnedFd>| {
            let mut value = [0; 8];
            counter.read_with(|io| read(io, &mut value)).await.unwrap();
            u64::from_ne_bytes(value)
        };
        let add = async |value: u64| {
            yield_now().await;
            rustix::io::write(counter.get_ref(), &value.to_ne_bytes()).unwrap();
        };
        for value in 1..4 {
            assert_eq!(futures::join!(take(&counter), add(value)).0, value);
        }
        add(u64::MAX - 1).await;
        let overflow = counter.write_with(|io| Ok(rustix::io::write(io, &1_u64.to_ne_bytes())?));
        let make_room = async {
            yield_now().await;
            take(&counter).await
        };
        let (written, taken) = futures::join!(overflow, make_room);
        assert_eq!((written.unwrap(), taken), (8, u64::MAX - 1));
    });
}

#[test]
fn a_timerfd_ticks() {
    run(async || {
        let flags = TimerfdFlags::CLOEXEC;
        let clock = Async::new(timerfd_create(TimerfdClockId::Monotonic, flags).unwrap()).unwrap();
        let period = Timespec::try_from(Duration::from_millis(2)).unwrap();
        let setting = Itimerspec { it_interval: period, it_value: period };
        timerfd_settime(clock.get_ref(), TimerfdTimerFlags::empty(), &setting).unwrap();
        let mut ticks = 0;
        while ticks < 5 {
            let mut count = [0; 8];
            clock.read_with(|io| read(io, &mut count)).await.unwrap();
            assert_ne!(u64::from_ne_bytes(count), 0);
            ticks += u64::from_ne_bytes(count);
        }
    });
}

#[test]
fn two_lines_typed_at_once_are_both_read_from_a_terminal() {
    let stepped = Stepped::new();
    let (mut master, slave) = terminal();
    let mut slave = stepped.enter(|| Async::new(slave).unwrap());
    let (watcher, mut buf) = (Watcher::new(), [0; 64]);
    for _ in 0..20 {
        master.write_all(b"one\nand two\nthree\n").unwrap();
        wait_in_kernel(&slave, PollFlags::IN);
        stepped.settle(); // The event of all lines is over by now.
        for len in [4, 8] {
            assert_eq!(stepped.finish(pin!(slave.read(&mut buf)), &watcher).unwrap(), len);
        }
        let read = pin!(slave.read_with(|mut io| io.read(&mut buf)));
        assert_eq!(stepped.finish(read, &watcher).unwrap(), 6);
    }
}

#[test]
fn a_terminal_that_is_closed_ends_the_read() {
    run(async || {
        let (master, slave) = terminal();
        let (mut master, mut slave) = (Async::new(master).unwrap(), Async::new(slave).unwrap());
        let mut buf = [0; 64];
        slave.write_all(b"prompt> ").await.unwrap();
        assert_eq!(master.read(&mut buf).await.unwrap(), 8);
        let close = async {
            yield_now().await;
            drop(master);
        };
        let (read, ()) = futures::join!(slave.read(&mut buf), close);
        // EIO, or the end of the file, as the race between hang-up and read has it.
        assert!(!matches!(read, Ok(1..)), "{read:?}");
    });
}

#[test]
fn a_file_in_memory_is_refused_or_always_ready() {
    run(async || {
        let file = File::from(memfd_create("selkie", MemfdFlags::CLOEXEC).unwrap());
        match Async::new(file) {
            Ok(mut file) => {
                assert!(!refuses_regular_files());
                file.write_all(b"abc").await.unwrap();
                assert_eq!(file.read(&mut [0; 8]).await.unwrap(), 0);
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
    });
}
