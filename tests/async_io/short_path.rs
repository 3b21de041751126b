//! A poll of a TCP stream is mostly a system call or a wait, and nothing more. What is not as
//! mostly: wakers with code of their own, many who share one stream, and those with names.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::join_all;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use rustix::event::PollFlags;
use selkie::{Async, timeout};
use socket2::SockRef;

use crate::util::numbers::Numbers;
use crate::util::wakers::{eventful, eventful_wakes, eventful_was_cloned};
use crate::util::{
    Stepped, Watcher, async_tcp_pair, blocking_tcp_pair, on_own_thread, run, wait_in_kernel,
};

fn poll_read(mut stream: &Async<TcpStream>, waker: &Waker) -> Poll<std::io::Result<usize>> {
    Pin::new(&mut stream).poll_read(&mut Context::from_waker(waker), &mut [0; 8])
}

/// A stream that was found empty, so that the next poll has but to wait; and its peer.
fn empty_stream(stepped: &Stepped) -> (Async<TcpStream>, TcpStream) {
    let (near, mut far) = blocking_tcp_pair();
    let near = stepped.enter(|| Async::new(near)).unwrap();
    far.write_all(b"first").unwrap();
    wait_in_kernel(&near, PollFlags::IN);
    let watcher = Watcher::new();
    let read = poll_fn(|cx| poll_read(&near, cx.waker()));
    assert_eq!(stepped.finish(pin!(read), &watcher).unwrap(), 5);
    assert!(poll_read(&near, Waker::noop()).is_pending());
    far.write_all(b"x").unwrap();
    stepped.until("it is readable", || poll_read(&near, Waker::noop()).is_ready());
    assert!(poll_read(&near, Waker::noop()).is_pending());
    // The place of the waker that does nothing is free after this.
    far.write_all(b"x").unwrap();
    stepped.until("it is readable", || poll_read(&near, Waker::noop()).is_ready());
    (near, far)
}

#[test]
fn a_waker_whose_clone_takes_a_turn_loses_no_bytes() {
    on_own_thread(|| {
        let stepped = Rc::new(Stepped::new());
        let (near, mut far) = empty_stream(&stepped);
        let near = Rc::new(near);
        let (loop_, stream) = (Rc::clone(&stepped), Rc::clone(&near));
        let waker = eventful(move || {
            far.write_all(b"x").unwrap();
            wait_in_kernel(&*stream, PollFlags::IN);
            loop_.settle();
        });
        let polled = poll_read(&near, &waker);
        assert!(eventful_was_cloned());
        match polled {
            Poll::Ready(read) => assert_eq!(read.unwrap(), 1),
            // It looked before the waker was cloned, and the event is still to come.
            Poll::Pending => stepped.until("it is woken", || eventful_wakes() > 0),
        }
    });
}

#[test]
fn a_waker_whose_clone_waits_for_the_same_stream_takes_nobodys_place() {
    on_own_thread(|| {
        let stepped = Stepped::new();
        let (near, mut far) = empty_stream(&stepped);
        let (near, other) = (Rc::new(near), Watcher::new());
        let (stream, waits) = (Rc::clone(&near), other.waker());
        let waker = eventful(move || assert!(poll_read(&stream, &waits).is_pending()));
        assert!(poll_read(&near, &waker).is_pending());
        assert!(eventful_was_cloned());
        far.write_all(b"x").unwrap();
        stepped.until("the other is woken", || other.count() > 0);
    });
}

#[test]
fn a_waker_whose_clone_drops_the_runtime_is_not_left_waiting() {
    on_own_thread(|| {
        let stepped = Stepped::new();
        let (near, _far) = empty_stream(&stepped);
        let waker = eventful(move || stepped.close());
        for _ in 0..2 {
            let Poll::Ready(read) = poll_read(&near, &waker) else { panic!("who would wake it?") };
            assert_eq!(read.unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn a_waker_whose_clone_panics_leaves_the_stream_in_order() {
    on_own_thread(|| {
        let stepped = Stepped::new();
        let (near, mut far) = empty_stream(&stepped);
        let waker = eventful(|| std::panic::resume_unwind(Box::new("on purpose")));
        catch_unwind(AssertUnwindSafe(|| poll_read(&near, &waker))).unwrap_err();
        let watcher = Watcher::new();
        assert!(poll_read(&near, &watcher.waker()).is_pending());
        far.write_all(b"x").unwrap();
        stepped.until("it is woken", || watcher.count() > 0);
        stepped.until("it reads", || poll_read(&near, &watcher.waker()).is_ready());
    });
}

/// Reads up to `most` bytes in one of the ways that there are; gives up now and then.
async fn read_somehow(stream: &Async<TcpStream>, way: usize, most: usize) -> Option<usize> {
    let mut buf = vec![0; most];
    let mut stream_ref = stream;
    let read = match way {
        0 => stream.read_with(|mut io| io.read(&mut buf)).await,
        1 => {
            stream.readable().await.unwrap();
            let mut once = Some(());
            // Another one may have been faster: then it is no reason to wait.
            let mut attempt = |cx: &mut Context<'_>| match once.take() {
                Some(()) => Pin::new(&mut stream_ref).poll_read(cx, &mut buf),
                None => Poll::Ready(Err(ErrorKind::WouldBlock.into())),
            };
            poll_fn(|cx| match attempt(cx) {
                Poll::Pending => Poll::Ready(Err(ErrorKind::WouldBlock.into())),
                ready => ready,
            })
            .await
        }
        2 => {
            let mut buf = vec![MaybeUninit::uninit(); most];
            poll_fn(|cx| stream.poll_read_uninit(cx, &mut buf)).await
        }
        3 => {
            let read = poll_fn(|cx| Pin::new(&mut stream_ref).poll_read(cx, &mut buf));
            match timeout(Duration::from_micros(200), read).await {
                Ok(read) => read,
                Err(_) => return None,
            }
        }
        _ => poll_fn(|cx| Pin::new(&mut stream_ref).poll_read(cx, &mut buf)).await,
    };
    match read {
        Ok(len) => Some(len),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

/// Reads `left` bytes, and then no more.
async fn read_share(stream: Async<TcpStream>, mut left: usize, mut numbers: Numbers) {
    while left > 0 {
        let (way, most) = (numbers.below(6), 1 + numbers.below(3_000));
        left -= read_somehow(&stream, way, most.min(left)).await.unwrap_or(0);
        if numbers.below(4) == 0 {
            selkie::yield_now().await;
        }
    }
}

/// Writes `left` bytes, and then no more.
async fn write_share(stream: Async<TcpStream>, mut left: usize, mut numbers: Numbers) {
    let mut stream_ref = &stream;
    let bytes = [b'.'; 8_000];
    while left > 0 {
        let bytes = &bytes[..left.min(1 + numbers.below(8_000))];
        let len = match numbers.below(3) {
            0 => stream.write_with(|mut io| io.write(bytes)).await,
            _ => poll_fn(|cx| Pin::new(&mut stream_ref).poll_write(cx, bytes)).await,
        };
        left -= len.unwrap();
        if numbers.below(3) == 0 {
            selkie::yield_now().await;
        }
    }
}

/// Some tasks read one stream, some write the other end, each in all ways. Who has its share goes,
/// and may leave what others wait for.
#[test]
fn those_who_share_a_stream_in_every_way_lose_no_byte_and_no_wake() {
    const SHARE: usize = 60_000;
    const TASKS: u64 = 4;
    on_own_thread(|| {
        for seed in 1..=20 {
            let stepped = Stepped::new();
            let (near, far) = stepped.enter(async_tcp_pair);
            // So that writers wait, too.
            SockRef::from(&far).set_send_buffer_size(16 * 1024).unwrap();
            let mut tasks = Vec::new();
            for number in 1..=TASKS {
                let [reads, writes] =
                    [100, 200].map(|more| Numbers::new(seed * 1_000 + more + number));
                tasks.push(stepped.spawn(read_share(near.clone(), SHARE, reads)));
                tasks.push(stepped.spawn(write_share(far.clone(), SHARE, writes)));
            }
            drop((near, far));
            let what = format!("seed {seed}: all have their share");
            stepped.until(&what, || tasks.iter().all(|task| task.is_finished()));
        }
    });
}

#[test]
fn streams_that_are_read_by_the_short_path_all_flow_in_one_task() {
    const BYTES: usize = 3_000;
    run(async || {
        let (mut peers, counts) = (Vec::new(), [const { Cell::new(0) }; 5]);
        let flows = counts.each_ref().map(|count| {
            let (near, mut far) = blocking_tcp_pair();
            far.write_all(&[0; BYTES]).unwrap();
            peers.push(far);
            let mut near = Async::new(near).unwrap();
            async move {
                while count.get() < BYTES {
                    near.read_exact(&mut [0]).await.unwrap();
                    count.set(count.get() + 1);
                }
            }
        });
        let mut all = pin!(join_all(flows));
        let mut least = Vec::new();
        poll_fn(|cx| {
            let before = counts.each_ref().map(Cell::get);
            let polled = all.as_mut().poll(cx);
            let done = counts.each_ref().map(Cell::get).iter().sum::<usize>();
            assert!(done - before.iter().sum::<usize>() <= 64, "one poll goes on and on");
            least.push(before.into_iter().min());
            polled
        })
        .await;
        // Those behind the first one do not wait for its end: each goes on in each poll.
        let half = least.len() / 2;
        assert!(least[half] >= Some(half - 2), "{:?} of {half}", least[half]);
    });
}
