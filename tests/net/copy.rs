//! Copying both ways: every byte, half-closes, counts, and which side has failed.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Cursor};
use selkie::net::{Copied, CopyOperation, Side, copy_bidirectional};
use selkie::{Async, Task, sleep};
use socket2::SockRef;

use crate::util::{DEADLINE, Stepped, Watcher, blocking_tcp_pair, fill, run};

/// A client's end and a server's end, which block, and what a proxy has between them.
struct Proxied {
    client: TcpStream,
    server: TcpStream,
    a: Async<TcpStream>,
    b: Async<TcpStream>,
}

impl Proxied {
    fn new() -> Self {
        let ((a, client), (b, server)) = (blocking_tcp_pair(), blocking_tcp_pair());
        for stream in [&client, &server] {
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream.set_write_timeout(Some(DEADLINE)).unwrap();
        }
        Self { client, server, a: Async::new(a).unwrap(), b: Async::new(b).unwrap() }
    }
}

fn read_to_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Bytes that are not the same at any two places near each other.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let next = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 24) as u8)
    };
    let mut state = seed;
    std::iter::from_fn(|| next(&mut state)).take(len).collect()
}

#[test]
fn both_directions_are_copied_and_counted_to_the_last_byte() {
    run(async || {
        let Proxied { client, server, a, b } = Proxied::new();
        let (request, response) = (noise(3_000_001, 1), noise(1_234_567, 2));
        let threads =
            [(client, request.clone()), (server, response.clone())].map(|(stream, bytes)| {
                thread::spawn(move || {
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            (&stream).write_all(&bytes).unwrap();
                            stream.shutdown(Shutdown::Write).unwrap();
                        });
                        read_to_end(&stream)
                    })
                })
            });
        let copied = copy_bidirectional(&a, &b).await.unwrap();
        assert_eq!((copied.a_to_b, copied.b_to_a), (3_000_001, 1_234_567));
        let [at_client, at_server] = threads.map(|thread| thread.join().unwrap());
        assert!(at_server == request && at_client == response);
    });
}

#[test]
fn a_half_close_is_passed_on_and_the_other_direction_goes_on() {
    let stepped = Stepped::new();
    let Proxied { client, server, a, b } = stepped.enter(Proxied::new);
    let proxy: Task<_> = stepped.spawn(async move {
        let copied = copy_bidirectional(&a, &b).await;
        (copied, a, b)
    });
    (&client).write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    server.set_nonblocking(true).unwrap();
    let mut question = Vec::new();
    stepped.until("the server reads the question and its end", || {
        match (&server).read_to_end(&mut question) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    });
    assert_eq!(question, b"question");

    // Only now the answer, twice, and in between nothing has ended.
    client.set_nonblocking(true).unwrap();
    let mut buf = [0; 8];
    for _ in 0..2 {
        (&server).write_all(b"answer").unwrap();
        stepped.until("the answer comes", || {
            (&client).read(&mut buf).is_ok_and(|len| &buf[..len] == b"answer")
        });
        assert!(!proxy.is_finished());
    }
    drop(server);
    let watcher = Watcher::new();
    let (copied, _a, _b) = stepped.finish(pin!(proxy), &watcher);
    let copied = copied.unwrap();
    assert_eq!((copied.a_to_b, copied.b_to_a), (8, 12));
    assert_eq!((&client).read(&mut buf).unwrap(), 0, "the end is passed on, too");
}

#[test]
fn a_side_that_does_not_read_holds_up_its_own_direction_only() {
    let stepped = Stepped::new();
    let Proxied { client, server, a, b } = stepped.enter(Proxied::new);
    let _proxy: Task<()> = stepped.spawn(async move {
        copy_bidirectional(&a, &b).await.unwrap();
    });
    client.set_nonblocking(true).unwrap();
    server.set_nonblocking(true).unwrap();
    // The server does not read, until all buffers on the way to it are full.
    let mut filled = 0;
    loop {
        let more = fill(&client);
        stepped.settle();
        filled += more;
        if more == 0 {
            break;
        }
    }
    assert!(filled > 0);
    (&server).write_all(b"urgent").unwrap();
    let mut buf = [0; 8];
    stepped.until("the other direction works", || {
        (&client).read(&mut buf).is_ok_and(|len| &buf[..len] == b"urgent")
    });
}

#[track_caller]
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_reset_tells_which_side_it_was_and_how_far_the_copy_got() {
    for side in [Side::A, Side::B] {
        let stepped = Stepped::new();
        let Proxied { client, server, a, b } = stepped.enter(Proxied::new);
        let (goes, stays) = match side {
            Side::A => (client, server),
            Side::B => (server, client),
        };
        (&goes).write_all(b"hello").unwrap();
        let copy = stepped.spawn(async move { copy_bidirectional(&a, &b).await });
        stays.set_nonblocking(true).unwrap();
        let mut buf = [0; 8];
        stepped.until("it is copied", || (&stays).read(&mut buf).is_ok_and(|len| len == 5));
        reset(goes);
        let error = stepped.finish(pin!(copy), &Watcher::new()).unwrap_err();
        assert_eq!((error.side(), error.operation()), (side, CopyOperation::Read));
        assert_eq!(error.io_error().kind(), ErrorKind::ConnectionReset);
        let (copied, name) = match side {
            Side::A => ([5, 0], "first"),
            Side::B => ([0, 5], "second"),
        };
        assert_eq!([error.copied().a_to_b, error.copied().b_to_a], copied);
        let [there, back] = copied;
        assert_eq!(
            error.to_string(),
            format!(
                "cannot read from the {name} stream, after {there} bytes from the first and {back} \
                 from the second: {}",
                error.io_error()
            )
        );
        assert_eq!(io::Error::from(error).kind(), ErrorKind::ConnectionReset);
    }
}

/// A server that refuses what it is sent, says why, and goes.
#[test]
fn what_a_side_has_sent_before_it_takes_no_more_arrives_at_the_other() {
    for side in [Side::B, Side::A] {
        let stepped = Stepped::new();
        let Proxied { client, server, a, b } = stepped.enter(Proxied::new);
        let (asks, answers) = if side == Side::B { (client, server) } else { (server, client) };
        asks.set_nonblocking(true).unwrap();
        let copy: Task<_> = stepped.spawn(async move { (copy_bidirectional(&a, &b).await, a, b) });
        stepped.settle();
        fill(&asks);
        (&answers).write_all(b"too much").unwrap();
        reset(answers);
        let mut answer = [0; 8];
        stepped.until("the answer comes", || {
            (&asks).read(&mut answer).is_ok_and(|len| &answer[..len] == b"too much")
        });
        let (copied, _a, _b) = stepped.finish(pin!(copy), &Watcher::new());
        let error = copied.unwrap_err();
        assert_eq!(error.side(), side);
        let Copied { a_to_b, b_to_a, .. } = error.copied();
        assert_eq!(if side == Side::B { [a_to_b, b_to_a] } else { [b_to_a, a_to_b] }, [0, 8]);
    }
}

#[test]
fn a_side_that_reads_no_more_may_go_on_to_write() {
    run(async || {
        let ((a, client), (b, server)) = (unix(), unix());
        server.get_ref().shutdown(Shutdown::Read).unwrap();
        let copy = copy_bidirectional(&a, &b);
        let answer = noise(500_000, 6);
        let serve = async {
            sleep(Duration::from_millis(5)).await;
            (&server).write_all(&answer).await.unwrap();
            (&server).close().await.unwrap();
        };
        let ask = async {
            (&client).write_all(b"question").await.unwrap();
            let mut bytes = Vec::new();
            (&client).read_to_end(&mut bytes).await.unwrap();
            assert!(bytes == noise(500_000, 6), "{} bytes", bytes.len());
        };
        let (copied, (), ()) = futures::join!(copy, serve, ask);
        let error = copied.unwrap_err();
        assert_eq!((error.side(), error.operation()), (Side::B, CopyOperation::Write));
        assert_eq!(error.copied().b_to_a, 500_000);
    });
}

fn unix() -> (Async<UnixStream>, Async<UnixStream>) {
    Async::<UnixStream>::pair().unwrap()
}

/// Reads what it was given, then its end; keeps what is written until it is flushed.
struct Buffered {
    incoming: Cursor<Vec<u8>>,
    /// True if the end of what comes in is not told, but waited for.
    stays_open: bool,
    held_back: Vec<u8>,
    outgoing: Vec<u8>,
    is_closed: bool,
}

impl Buffered {
    fn new(incoming: &[u8]) -> Self {
        Self {
            incoming: Cursor::new(incoming.to_vec()),
            stays_open: false,
            held_back: Vec::new(),
            outgoing: Vec::new(),
            is_closed: false,
        }
    }
}

impl AsyncRead for Buffered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.incoming).poll_read(cx, buf);
        if self.stays_open && matches!(read, Poll::Ready(Ok(0))) { Poll::Pending } else { read }
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Only a part, as a stream may.
        let len = buf.len().min(7);
        self.held_back.extend(&buf[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let held_back = std::mem::take(&mut self.held_back);
        self.outgoing.extend(held_back);
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_closed = true;
        self.poll_flush(cx)
    }
}

#[test]
fn streams_that_hold_back_what_is_written_are_flushed_before_the_copy_waits() {
    let (mut a, mut b) = (Buffered::new(&noise(40_000, 3)), Buffered::new(b"short"));
    a.stays_open = true;
    {
        let mut copy = pin!(copy_bidirectional(&mut a, &mut b));
        let waker = Watcher::new().waker();
        for _ in 0..1_000 {
            assert!(copy.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
    }
    assert!(b.outgoing == noise(40_000, 3), "{} bytes", b.outgoing.len());
    assert!(!b.is_closed);
    assert_eq!((a.outgoing.as_slice(), a.is_closed), (&b"short"[..], true));
}

#[test]
fn streams_that_never_wait_let_others_go_on() {
    let (mut a, mut b) = (Buffered::new(&noise(4_000_000, 4)), Buffered::new(b""));
    let mut copy = pin!(copy_bidirectional(&mut a, &mut b));
    let watcher = Watcher::new();
    let waker = watcher.waker();
    assert!(copy.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(watcher.count(), 1, "it asks to be polled again");
    let copied = futures::executor::block_on(copy).unwrap();
    assert_eq!((copied.a_to_b, copied.b_to_a), (4_000_000, 0));
}

struct Full;

impl AsyncRead for Full {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Full {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(0))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(ErrorKind::NotConnected.into()))
    }
}

#[test]
fn a_stream_that_takes_nothing_and_one_that_cannot_be_closed_are_errors_of_their_side() {
    let copy = copy_bidirectional(Buffered::new(b"x"), Full);
    let error = futures::executor::block_on(copy).unwrap_err();
    assert_eq!((error.side(), error.operation()), (Side::B, CopyOperation::Write));
    assert_eq!(error.io_error().kind(), ErrorKind::WriteZero);
    let copy = copy_bidirectional(Full, Buffered::new(b""));
    let error = futures::executor::block_on(copy).unwrap_err();
    assert_eq!((error.side(), error.operation()), (Side::A, CopyOperation::Close));
    let text = error.to_string();
    assert!(
        text.starts_with("cannot close the write side of the first stream, after 0 "),
        "{text}"
    );
}
