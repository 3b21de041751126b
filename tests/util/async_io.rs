//! Helpers of the async tests: ways to run one, loopback pairs, and a waker that counts.

mod cpu_time;
pub mod numbers;
pub mod sockets;
pub mod wakers;

use std::future::{Future, poll_fn};
use std::io::Read;
use std::net::TcpStream;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic;
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::io::{AsyncRead, AsyncWrite};
use rustix::event::PollFlags;
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::pipe::{PipeFlags, pipe_with};
use selkie::selector::BackendKind;
use selkie::{Async, Builder, Runtime, sleep};
use socket2::Socket;

pub use self::cpu_time::thread_cpu_time;
pub use self::sockets::{blocking_tcp_pair, fill, wait_in_kernel};
use self::wakers::Wakes;
pub use crate::child::open_descriptors;
use crate::liar;

/// For what has to happen. Only a failing test waits for it.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// For what must not happen: long enough to tell sleep from a busy loop on a loaded machine.
pub const SILENCE: Duration = Duration::from_millis(40);

/// Runs an async test in a runtime on a thread of its own.
#[track_caller]
pub fn run(test: impl AsyncFnOnce() + Send + 'static) {
    on_own_thread(move || {
        let ended = async {
            let (mut test, mut late) = (pin!(test()), sleep(DEADLINE));
            poll_fn(|cx| {
                // The clock goes first: that its event is the one that makes the test go on must
                // not hide that another one was lost.
                let is_late = Pin::new(&mut late).poll(cx).is_ready();
                assert!(!is_late, "the test waits for what does not come");
                test.as_mut().poll(cx)
            })
            .await
        };
        runtime().block_on(ended);
    });
}

/// Runs a test on a thread of its own, and fails if that has not ended after twice the
/// [`DEADLINE`]: a loop that is blocked, or spins, cannot say so itself.
#[track_caller]
pub fn on_own_thread<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (alive, ended) = mpsc::channel::<()>();
    let name = thread::current().name().unwrap_or("test").to_owned();
    let test = move || {
        let _alive = alive;
        test()
    };
    let thread = thread::Builder::new().name(name).spawn(test).unwrap();
    if ended.recv_timeout(2 * DEADLINE) == Err(RecvTimeoutError::Timeout) {
        panic!("the thread of the test is stuck");
    }
    thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
}

/// A runtime with the usual settings, on the back end that `SELKIE_BACKEND` names; it lies if it
/// has to, see [`liar`].
pub fn runtime() -> Runtime {
    liar::build(Builder::new()).unwrap()
}

/// The back end under test, which is that of all runtimes here.
pub fn backend() -> BackendKind {
    BackendKind::from_env().unwrap()
}

/// True if the back end under test refuses what is no socket, pipe or the like, as epoll does.
pub fn refuses_regular_files() -> bool {
    // The `polling` crate can be made to ask by poll(2).
    let is_epoll = |name| name == "epoll" || name == "polling" && !cfg!(polling_test_poll_backend);
    is_epoll(backend().name())
}

/// A runtime whose loop is the test's own: it sees every turn.
pub struct Stepped(Runtime);

impl Stepped {
    pub fn new() -> Self {
        Self(runtime())
    }

    /// Takes turns until `condition` holds.
    #[track_caller]
    pub fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition() {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not within {DEADLINE:?}: {what}");
            self.0.turn(Some(left)).unwrap();
        }
    }

    /// Takes turns until there is nothing more to do just now.
    #[track_caller]
    pub fn settle(&self) {
        const MOST_TURNS: usize = 1_000;
        let is_idle = || self.0.turn(Some(Duration::ZERO)).unwrap().is_idle();
        assert!((0..MOST_TURNS).any(|_| is_idle()), "the loop does not come to rest");
    }

    /// Insists that nothing happens, and that this costs nothing.
    #[track_caller]
    pub fn assert_idle(&self) {
        let (start, worked) = (Instant::now(), thread_cpu_time());
        let turn = self.0.turn(Some(SILENCE)).unwrap();
        let (elapsed, worked) = (start.elapsed(), thread_cpu_time() - worked);
        assert!(turn.is_idle(), "a turn found something to do: {turn:?}");
        assert!(elapsed >= SILENCE, "nothing was to be done, but the turn took only {elapsed:?}");
        assert!(worked < SILENCE / 2, "a busy loop: {worked:?} of work in {elapsed:?}");
    }

    /// Takes turns until `future` has ended, and polls it whenever `watcher` was woken.
    #[track_caller]
    pub fn finish<F: Future>(&self, mut future: Pin<&mut F>, watcher: &Watcher) -> F::Output {
        let mut value = None;
        let mut seen = None;
        self.until("the future ends", || {
            if seen != Some(watcher.count()) {
                seen = Some(watcher.count());
                if let Poll::Ready(ready) = self.poll(future.as_mut(), watcher) {
                    value = Some(ready);
                }
            }
            value.is_some()
        });
        value.unwrap()
    }

    /// Polls `future` once, outside a turn.
    pub fn poll<F: Future>(&self, future: Pin<&mut F>, watcher: &Watcher) -> Poll<F::Output> {
        self.0.enter(|| future.poll(&mut Context::from_waker(&watcher.waker())))
    }

    /// Drops the runtime.
    pub fn close(self) {
        drop(self.0);
    }
}

impl Deref for Stepped {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        &self.0
    }
}

/// A waker that counts how often it is called, and who has it.
#[derive(Clone, Default)]
pub struct Watcher(Arc<Wakes>);

impl Watcher {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn waker(&self) -> Waker {
        Arc::clone(&self.0).into()
    }

    /// How often its wakers have been called.
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// How many of its wakers there are.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// An async stream, whatever it is.
pub trait Stream: AsyncRead + AsyncWrite + AsFd + Unpin {}
impl<T: AsyncRead + AsyncWrite + AsFd + Unpin> Stream for T {}

/// A connection: the async end, and a blocking one for the test to pull the strings.
pub struct Pair {
    pub name: &'static str,
    pub near: Box<dyn Stream>,
    pub far: Socket,
}

/// A connection of each kind.
pub fn pairs() -> [Pair; 2] {
    [tcp(), unix()]
}

pub fn tcp() -> Pair {
    let (near, far) = blocking_tcp_pair();
    Pair { name: "TCP", near: Box::new(Async::new(near).unwrap()), far: patient(far) }
}

pub fn unix() -> Pair {
    let (near, far) = UnixStream::pair().unwrap();
    Pair { name: "Unix", near: Box::new(Async::new(near).unwrap()), far: patient(far) }
}

/// A blocking socket that does not wait for ever.
fn patient(socket: impl Into<Socket>) -> Socket {
    let socket = socket.into();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.set_write_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// A stream pair, the near end async, the far one blocking.
pub fn near_and_far() -> (Async<UnixStream>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    (Async::new(near).unwrap(), far)
}

pub fn async_tcp_pair() -> (Async<TcpStream>, Async<TcpStream>) {
    let (one, other) = blocking_tcp_pair();
    (Async::new(one).unwrap(), Async::new(other).unwrap())
}

/// The read and the write end of a pipe, which the tests' children do not inherit.
pub fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).unwrap()
}

/// Reads `count` bytes, blocking.
#[track_caller]
pub fn drain(mut stream: impl Read + AsFd, count: usize) {
    let mut buf = vec![0; 64 * 1024];
    let mut left = count;
    while left > 0 {
        wait_in_kernel(&stream, PollFlags::IN);
        let most = left.min(buf.len());
        let len = stream.read(&mut buf[..most]).unwrap();
        assert_ne!(len, 0, "the stream ended {left} bytes too early");
        left -= len;
    }
}

pub fn is_nonblocking(source: impl AsFd) -> bool {
    fcntl_getfl(source).unwrap().contains(OFlags::NONBLOCK)
}

/// The command that runs the test `name` of this binary alone, in a process of its own with this
/// role, on the same back end.
pub fn child(name: &str, role: &str) -> Command {
    let mut command = crate::child::command(name, role);
    command.env("SELKIE_BACKEND", backend().name());
    command
}
