//! Tasks, wakers and remotes on other threads than the runtime's. What is not `Send` is polled
//! and dropped on the runtime's thread, wherever its wakers and handles are.

use std::future::{Future, Ready, poll_fn};
use std::marker::PhantomData;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle, ThreadId};

use futures::channel::oneshot;
use futures::executor::block_on;
use selkie::{Async, Builder, Remote, Runtime, Task, Timer, spawn, yield_now};

use crate::util::{OnDrop, panic_text, run, run_on, runtime, turn_until};

/// A future that is not `Send`, and tells on which threads it is polled and dropped.
struct Homebound {
    seen: Sender<(&'static str, ThreadId)>,
    wakers: Option<Sender<Waker>>,
    not_send: PhantomData<Rc<()>>,
}

impl Homebound {
    fn new(seen: Sender<(&'static str, ThreadId)>, wakers: Sender<Waker>) -> Self {
        Self { seen, wakers: Some(wakers), not_send: PhantomData }
    }

    fn tell(&self, what: &'static str) {
        self.seen.send((what, thread::current().id())).expect("the test listens");
    }
}

impl Future for Homebound {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.tell("polled");
        if let Some(wakers) = self.wakers.take() {
            wakers.send(cx.waker().clone()).expect("the test listens");
        }
        Poll::Pending
    }
}

impl Drop for Homebound {
    fn drop(&mut self) {
        self.tell("dropped");
    }
}

/// A task of a [`Homebound`] that has been polled once, its waker, and what it tells.
fn homebound(runtime: &Runtime) -> (Task<()>, Waker, Receiver<(&'static str, ThreadId)>) {
    let (seen, told) = mpsc::channel();
    let (sender, wakers) = mpsc::channel();
    let task = runtime.spawn(Homebound::new(seen, sender));
    turn_until(runtime, || !runtime.has_ready_tasks());
    assert_eq!(told.try_recv(), Ok(("polled", here())));
    (task, wakers.recv().unwrap(), told)
}

fn here() -> ThreadId {
    thread::current().id()
}

/// Something that goes on beside the loop, on another thread.
struct Beside<R>(JoinHandle<()>, Receiver<R>);

impl<R: Send + 'static> Beside<R> {
    fn start(runtime: &Runtime, f: impl FnOnce() -> R + Send + 'static) -> Self {
        let (sender, result) = mpsc::channel();
        let remote = runtime.remote();
        let thread = thread::spawn(move || {
            sender.send(f()).unwrap();
            remote.notify();
        });
        Self(thread, result)
    }

    /// Its result, for which the loop goes on.
    fn join(self, runtime: &Runtime) -> R {
        let mut result = None;
        turn_until(runtime, || {
            result = self.1.try_recv().ok();
            result.is_some()
        });
        self.0.join().unwrap();
        result.unwrap()
    }
}

/// Runs `f` on another thread, to its end.
fn elsewhere<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join().expect("the other thread does not panic"))
}

/// Which of these it means is ambiguous, and so does not compile, for a type that is `Send`.
trait NotSend<Marker> {
    fn check() {}
}
impl<T: ?Sized> NotSend<()> for T {}
impl<T: ?Sized + Send> NotSend<u8> for T {}

#[test]
fn what_belongs_to_a_thread_does_not_leave_it_and_what_does_not_may() {
    fn may_leave<T: Send + Sync>() {}
    <Runtime as NotSend<_>>::check();
    <Async<UnixStream> as NotSend<_>>::check();
    <Timer as NotSend<_>>::check();
    <Task<Rc<()>> as NotSend<_>>::check();
    may_leave::<Task<()>>();
    may_leave::<Remote>();
    may_leave::<Builder>();
}

#[test]
fn a_task_can_be_awaited_on_another_thread() {
    let runtime = runtime();
    let (sender, receiver) = oneshot::channel();
    let task = runtime.spawn(receiver);
    let awaiter = Beside::start(&runtime, || block_on(task));
    turn_until(&runtime, || !runtime.has_ready_tasks());
    sender.send(7).unwrap();
    assert_eq!(awaiter.join(&runtime), Ok(7));
}

#[test]
fn a_panic_reaches_an_awaiter_on_another_thread() {
    let runtime = runtime();
    let task = runtime.spawn(async { resume_unwind(Box::new("across")) });
    let awaiter = Beside::start(&runtime, || panic_text(|| block_on::<Task<()>>(task)));
    assert_eq!(awaiter.join(&runtime), "across");
}

#[test]
fn a_task_cancelled_on_another_thread_is_dropped_on_its_own() {
    let runtime = runtime();
    let (task, _waker, told) = homebound(&runtime);
    elsewhere(move || drop(task));
    assert!(told.try_recv().is_err(), "dropped on the other thread");
    turn_until(&runtime, || !runtime.has_ready_tasks());
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [("dropped", here())]);
}

#[test]
fn a_cancellation_can_be_awaited_on_another_thread() {
    let runtime = runtime();
    let (task, _waker, told) = homebound(&runtime);
    let canceller = Beside::start(&runtime, || block_on(task.cancel()));
    assert_eq!(canceller.join(&runtime), None);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [("dropped", here())]);
}

#[test]
fn a_waker_can_be_cloned_used_and_dropped_on_another_thread() {
    let runtime = runtime();
    let (task, waker, told) = homebound(&runtime);
    elsewhere(move || {
        let clone = waker.clone();
        waker.wake();
        clone.wake_by_ref();
    });
    assert!(told.try_recv().is_err(), "polled on the other thread");
    turn_until(&runtime, || !runtime.has_ready_tasks());
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [("polled", here())]);
    drop((task, runtime));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [("dropped", here())]);
}

#[test]
fn a_waker_that_outlives_its_runtime_on_another_thread_drops_no_future_there() {
    let runtime = runtime();
    let (task, waker, told) = homebound(&runtime);
    let (clone, last) = (waker.clone(), waker.clone());
    task.detach();
    let gone = mpsc::channel::<()>();
    let outliving = thread::spawn(move || {
        gone.1.recv().unwrap();
        waker.wake();
        clone.wake_by_ref();
        drop(clone);
        drop(last);
    });
    drop(runtime);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [("dropped", here())]);
    gone.0.send(()).unwrap();
    outliving.join().unwrap();
    assert!(told.try_recv().is_err());
}

#[test]
fn a_handle_that_outlives_its_runtime_on_another_thread_drops_no_future_there() {
    let runtime = runtime();
    let (task, waker, told) = homebound(&runtime);
    drop(runtime);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [("dropped", here())]);
    elsewhere(move || drop((task, waker)));
    assert!(told.try_recv().is_err());
}

#[test]
fn a_remote_spawns_a_future_that_is_not_send_from_another_thread() {
    let runtime = runtime();
    let remote = runtime.remote();
    let task = elsewhere(|| {
        remote.spawn(|| async {
            let shared = Rc::new(7);
            yield_now().await;
            (*shared, thread::current().id())
        })
    });
    assert_eq!(run_on(&runtime, task.unwrap()), (7, here()));
}

#[test]
fn a_closure_that_panics_on_the_runtimes_thread_reaches_the_awaiter() {
    let runtime = runtime();
    let spawned = runtime.remote().spawn(|| -> Ready<()> { resume_unwind(Box::new("made badly")) });
    let awaiter = Beside::start(&runtime, || panic_text(|| block_on(spawned.unwrap())));
    assert_eq!(awaiter.join(&runtime), "made badly");
}

#[test]
fn a_remote_spawns_into_a_loop_that_sleeps() {
    let runtime = runtime();
    let remote = runtime.remote();
    let (sender, receiver) = oneshot::channel();
    let spawner = thread::spawn(move || {
        remote.spawn(move || async move { sender.send(7) }).unwrap().detach();
    });
    assert_eq!(run_on(&runtime, receiver), Ok(7));
    spawner.join().unwrap();
}

#[test]
fn a_task_of_a_remote_that_is_dropped_before_its_first_poll_is_never_made() {
    let runtime = runtime();
    let (sender, made) = mpsc::channel();
    let task = runtime.remote().spawn(move || async move { sender.send(()) }).unwrap();
    drop(task);
    turn_until(&runtime, || !runtime.has_ready_tasks());
    assert_eq!(made.recv(), Err(mpsc::RecvError));
}

#[test]
fn a_remote_of_a_runtime_that_is_gone_refuses_and_drops_the_closure() {
    let remote = runtime().remote();
    let (sender, receiver) = mpsc::channel::<()>();
    let error = remote.spawn(move || async move { drop(sender) }).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert!(error.to_string().contains("is gone"), "{error}");
    assert_eq!(receiver.recv(), Err(mpsc::RecvError), "the closure was kept");
    remote.notify();
}

#[test]
fn what_remotes_spawned_and_nobody_polled_is_dropped_with_the_runtime_on_its_thread() {
    let runtime = runtime();
    let remote = runtime.remote();
    let (sender, dropped_on) = mpsc::channel();
    let task = elsewhere(move || {
        let guard = OnDrop(move || sender.send(thread::current().id()).unwrap());
        remote.spawn(move || async move { drop(guard) }).unwrap()
    });
    drop(runtime);
    assert_eq!(dropped_on.recv(), Ok(here()));
    assert!(task.is_finished());
}

#[test]
fn a_task_on_another_runtime_can_be_awaited_in_this_one() {
    let (sender, receiver) = mpsc::channel::<Remote>();
    let (stop, stopped) = oneshot::channel::<()>();
    let other = thread::spawn(move || {
        let runtime = runtime();
        sender.send(runtime.remote()).unwrap();
        run_on(&runtime, stopped).unwrap();
    });
    let remote = receiver.recv().unwrap();
    let sum = run(async {
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let remote = remote.clone();
                spawn(async move { remote.spawn(move || async move { n }).unwrap().await })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        sum
    });
    assert_eq!(sum, 4_950);
    stop.send(()).unwrap();
    other.join().unwrap();
}

/// The wake has begun on another thread, but has not reached the loop when the runtime goes.
#[test]
fn a_runtime_dropped_amid_wakes_from_other_threads_drops_every_future() {
    let rounds = if cfg!(miri) { 10 } else { 3_000 };
    let alive = Rc::new(());
    for round in 0..rounds {
        let runtime = runtime();
        let (sender, wakers) = mpsc::channel();
        for _ in 0..4 {
            let (held, sender) = (Rc::clone(&alive), sender.clone());
            let told = poll_fn(move |cx| {
                let _ = (&held, sender.send(cx.waker().clone()));
                Poll::<()>::Pending
            });
            runtime.spawn(told).detach();
        }
        turn_until(&runtime, || !runtime.has_ready_tasks());
        let start = Arc::new(Barrier::new(5));
        let wake = |waker: Waker| {
            let start = Arc::clone(&start);
            thread::spawn(move || {
                start.wait();
                waker.wake();
            })
        };
        let wakes: Vec<_> = wakers.try_iter().map(wake).collect();
        start.wait();
        drop(runtime);
        assert_eq!(Rc::strong_count(&alive), 1, "leaked futures in round {round}");
        wakes.into_iter().for_each(|wake| wake.join().unwrap());
    }
}

#[test]
fn a_runtime_dropped_amid_spawns_from_other_threads_is_soon_gone() {
    const MOST: usize = if cfg!(miri) { 100 } else { 500_000 };
    let runtime = runtime();
    let start = Arc::new(Barrier::new(5));
    let spawner = |remote: Remote| {
        let start = Arc::clone(&start);
        thread::spawn(move || {
            start.wait();
            let spawn = || remote.spawn(|| async {}).map(Task::detach);
            (0..MOST).take_while(|_| spawn().is_ok()).count()
        })
    };
    let spawners: Vec<_> = (0..4).map(|_| spawner(runtime.remote())).collect();
    start.wait();
    turn_until(&runtime, || runtime.has_ready_tasks());
    drop(runtime);
    let spawned = spawners.into_iter().map(|spawner| spawner.join().unwrap());
    assert!(spawned.min() < Some(MOST), "it was there for as long as anybody spawned");
}

/// Spawns another one of its kind when it is dropped, a hundred times.
struct Hydra {
    remote: Remote,
    generation: usize,
    accepted: Arc<AtomicUsize>,
}

impl Drop for Hydra {
    fn drop(&mut self) {
        let Self { remote, generation, accepted } = self;
        if *generation < 100 {
            let next = Self {
                remote: remote.clone(),
                generation: *generation + 1,
                accepted: Arc::clone(accepted),
            };
            if let Ok(task) = remote.spawn(|| async { drop(next) }) {
                accepted.fetch_add(1, SeqCst);
                task.detach();
            }
        }
    }
}

#[test]
fn a_runtime_that_is_being_dropped_takes_no_more_from_its_remotes() {
    let runtime = runtime();
    let (remote, accepted) = (runtime.remote(), Arc::default());
    let hydra = Hydra { remote: remote.clone(), generation: 0, accepted: Arc::clone(&accepted) };
    remote.spawn(|| async { drop(hydra) }).unwrap().detach();
    drop(runtime);
    assert_eq!(accepted.load(SeqCst), 0);
}
