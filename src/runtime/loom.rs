//! A whole runtime and two threads, in every order of what they do to each other. The back end
//! waits for notifications alone; a wake-up that is lost is a deadlock, which loom reports.
//!
//! Loom sees the inbox, the root's flag and the notification. The states of async-task's tasks
//! are std's atomics: a change of one is no step of its own, and loom does not know that its
//! place matters. So whoever makes one goes by a [`Gate`] first, which loom does see.

use crate::sys::BorrowedFd;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use ::loom::thread;

use super::{Builder, Remote, Runtime, UnobservedPanic};
use crate::executor::Task;
use crate::interest::Interest;
use crate::selector::{Backend, Mode, Notifier, ReadyList, Token, Until};
use crate::sync::{Bell, explore};

/// Waits for notifications alone.
struct Ringing(Arc<Bell>);

impl Backend for Ringing {
    fn name(&self) -> &'static str {
        "parked"
    }

    fn supports(&self, _mode: Mode) -> bool {
        true
    }

    unsafe fn register(
        &mut self,
        _: Token,
        _: BorrowedFd<'_>,
        _: Interest,
        _: Mode,
    ) -> io::Result<()> {
        Ok(())
    }

    unsafe fn modify(
        &mut self,
        _: Token,
        _: BorrowedFd<'_>,
        _: Interest,
        _: Mode,
    ) -> io::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, _: Token, _: BorrowedFd<'_>) -> io::Result<()> {
        Ok(())
    }

    fn wait(&mut self, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        let was_rung = match until.timeout() {
            Some(_) => self.0.take(),
            None => {
                self.0.wait();
                true
            }
        };
        if was_rung {
            ready.set_notified();
        }
        Ok(())
    }

    fn notifier(&self) -> Notifier {
        let bell = Arc::clone(&self.0);
        Notifier::new(move || {
            bell.ring();
            Ok(())
        })
    }
}

fn runtime(builder: Builder) -> (Arc<Bell>, Runtime) {
    let bell = Arc::new(Bell::default());
    let runtime = builder.build_with(Box::new(Ringing(Arc::clone(&bell)))).unwrap();
    (bell, runtime)
}

/// What a thread writes before it wakes somebody, and who looks at it when it is polled.
#[derive(Default)]
struct Letter {
    /// By no more than a wake-up is the reader told that it can see it.
    is_written: AtomicBool,
}

/// The order in which threads pass it is one that loom tries.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicUsize>);

impl Gate {
    fn pass(&self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Waits, in a task, until a thread that it starts has woken it.
struct Woken {
    thread: Option<thread::JoinHandle<()>>,
    is_woken: Arc<AtomicBool>,
    gate: Gate,
}

impl Woken {
    fn new(gate: &Gate) -> Self {
        Self { thread: None, is_woken: Arc::default(), gate: gate.clone() }
    }
}

impl Future for Woken {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.thread.is_none() {
            let (waker, is_woken) = (cx.waker().clone(), Arc::clone(&self.is_woken));
            let gate = self.gate.clone();
            self.thread = Some(thread::spawn(move || {
                is_woken.swap(true, SeqCst);
                gate.pass();
                waker.wake();
            }));
        }
        if self.is_woken.fetch_or(false, SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[test]
fn the_root_sees_what_was_written_before_it_was_woken() {
    explore("a root and two letters", Some(3), || {
        let (_, runtime) = runtime(Builder::new());
        let letters = [(); 2].map(|()| Arc::new(Letter::default()));
        let mut threads = Vec::new();
        let root = poll_fn(|cx| {
            if threads.is_empty() {
                threads.extend(letters.iter().map(|letter| {
                    let (letter, waker) = (Arc::clone(letter), cx.waker().clone());
                    thread::spawn(move || {
                        letter.is_written.store(true, Relaxed);
                        waker.wake();
                    })
                }));
            }
            let all = letters.iter().all(|letter| letter.is_written.load(Relaxed));
            if all { Poll::Ready(()) } else { Poll::Pending }
        });
        runtime.block_on(root);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn tasks_that_other_threads_wake_are_polled() {
    explore("two tasks woken", Some(3), || {
        let (_, runtime) = runtime(Builder::new());
        let gate = Gate::default();
        let tasks = [(); 2].map(|()| runtime.spawn(Woken::new(&gate)));
        let root = async {
            for task in tasks {
                task.await;
            }
        };
        runtime.block_on(root);
    });
}

#[test]
fn one_task_that_two_threads_wake_is_polled_after_both() {
    explore("one task woken twice", Some(3), || {
        let (_, runtime) = runtime(Builder::new());
        let gate = Gate::default();
        let task = runtime.spawn(async move {
            let (mut one, mut other) = (pin!(Woken::new(&gate)), pin!(Woken::new(&gate)));
            poll_fn(|cx| {
                let polled = [one.as_mut().poll(cx), other.as_mut().poll(cx)];
                if polled.iter().all(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        });
        runtime.block_on(task);
    });
}

#[test]
fn a_foreign_loop_that_watches_the_descriptor_misses_no_wake_up() {
    explore("turns when the descriptor is readable", Some(3), || {
        let (bell, runtime) = runtime(Builder::new());
        let gate = Gate::default();
        let mut tasks = [(); 2].map(|()| runtime.spawn(Woken::new(&gate)));
        while !tasks.iter_mut().all(|task| task.is_finished()) {
            bell.watch();
            runtime.turn(Some(Duration::ZERO)).unwrap();
        }
    });
}

/// Counts itself off where it is dropped, which has to be the thread that it was made on.
struct AtHome {
    home: thread::ThreadId,
    left: Rc<Cell<usize>>,
    gate: Gate,
}

impl AtHome {
    fn new(left: &Rc<Cell<usize>>, gate: &Gate) -> Self {
        left.set(left.get() + 1);
        Self { home: thread::current().id(), left: Rc::clone(left), gate: gate.clone() }
    }
}

impl Drop for AtHome {
    fn drop(&mut self) {
        self.gate.pass();
        assert_eq!(thread::current().id(), self.home, "dropped on another thread");
        self.left.set(self.left.get() - 1);
    }
}

#[test]
fn the_tasks_of_a_runtime_that_goes_are_dropped_at_home_whoever_wakes_them() {
    explore("dropped while two tasks are woken", Some(3), || {
        let (_, runtime) = runtime(Builder::new());
        let (left, gate) = (Rc::new(Cell::new(0)), Gate::default());
        for _ in 0..2 {
            let guard = AtHome::new(&left, &gate);
            let gate = gate.clone();
            let task = runtime.spawn(async move {
                Woken::new(&gate).await;
                drop(guard);
            });
            task.detach();
        }
        runtime.turn(Some(Duration::ZERO)).unwrap();
        gate.pass();
        drop(runtime);
        assert_eq!(left.get(), 0, "tasks left over");
    });
}

#[test]
fn a_handle_that_another_thread_drops_cancels_the_task_at_home() {
    explore("dropped while two tasks are cancelled", Some(3), || {
        let (_, runtime) = runtime(Builder::new());
        let (left, gate) = (Rc::new(Cell::new(0)), Gate::default());
        for _ in 0..2 {
            let guard = AtHome::new(&left, &gate);
            let task: Task<()> = runtime.spawn(async move {
                let _guard = guard;
                std::future::pending().await
            });
            let gate = gate.clone();
            thread::spawn(move || {
                gate.pass();
                drop(task);
            });
        }
        runtime.turn(Some(Duration::ZERO)).unwrap();
        gate.pass();
        drop(runtime);
        assert_eq!(left.get(), 0, "tasks left over");
    });
}

fn spawn_from_elsewhere(remote: Remote, made: Arc<AtomicUsize>) -> thread::JoinHandle<bool> {
    thread::spawn(move || {
        let spawned = remote.spawn(move || {
            made.fetch_add(1, SeqCst);
            std::future::ready(())
        });
        spawned.map(Task::detach).is_ok()
    })
}

#[test]
fn a_task_from_another_thread_is_run() {
    explore("two tasks spawned from elsewhere", Some(3), || {
        let (bell, runtime) = runtime(Builder::new());
        let made = Arc::new(AtomicUsize::new(0));
        let threads = [(); 2].map(|()| spawn_from_elsewhere(runtime.remote(), Arc::clone(&made)));
        while made.load(SeqCst) < 2 {
            bell.watch();
            runtime.turn(Some(Duration::ZERO)).unwrap();
        }
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()), "refused");
    });
}

#[test]
fn a_task_from_another_thread_is_refused_or_dropped_by_a_runtime_that_goes() {
    explore("spawned while the runtime goes", Some(3), || {
        let (_, runtime) = runtime(Builder::new());
        let made = Arc::new(AtomicUsize::new(0));
        let threads = [(); 2].map(|()| spawn_from_elsewhere(runtime.remote(), Arc::clone(&made)));
        drop(runtime);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(made.load(SeqCst), 0, "run by a runtime that takes no turn");
        assert_eq!(Arc::strong_count(&made), 1, "a closure was lost");
    });
}

#[test]
fn a_panic_that_another_thread_leaves_unobserved_stops_the_loop() {
    explore("an unobserved panic", Some(3), || {
        let (_, runtime) = runtime(Builder::new().unobserved_panic(UnobservedPanic::Resume));
        let task = runtime.spawn(async { std::panic::resume_unwind(Box::new("nobody awaits")) });
        let mut task = Some(task);
        let root = poll_fn(|_| {
            if let Some(task) = task.take_if(|task: &mut Task<()>| task.is_finished()) {
                thread::spawn(move || drop(task));
            }
            Poll::<()>::Pending
        });
        let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                let mut root = pin!(root);
                super::yield_now().await;
                super::yield_now().await;
                root.as_mut().await;
            })
        }));
        let payload = stopped.expect_err("nothing else ends it");
        assert_eq!(payload.downcast_ref(), Some(&"nobody awaits"));
    });
}

#[test]
fn a_notification_ends_a_wait() {
    explore("a notification", None, || {
        let (_, runtime) = runtime(Builder::new());
        let remote = runtime.remote();
        let notifying = thread::spawn(move || remote.notify());
        runtime.turn(None).unwrap();
        notifying.join().unwrap();
    });
}
