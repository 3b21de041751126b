//! What a wake does, and how little: it never polls, it seldom costs a system call, and it is
//! never lost.

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::task::AtomicWaker;
use selkie::{Async, Builder, Runtime, Timer, sleep, sleep_until, spawn, yield_now};

use crate::backends::{Probe, Probed};
use crate::liar;
use crate::util::{Bomb, DEADLINE, Trace, Wakes, panic_text, run, run_on, runtime, settle};

/// A place where a task leaves its waker.
type Shelf = Rc<RefCell<Option<Waker>>>;

/// A future that adds `name` to the trace at each poll, and leaves its waker on the shelf.
fn waits(name: &'static str, trace: &Trace, shelf: &Shelf) -> impl Future<Output = ()> + use<> {
    let (trace, shelf) = (trace.clone(), Rc::clone(shelf));
    poll_fn(move |cx| {
        trace.add(name);
        *shelf.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    })
}

fn wake(shelf: &Shelf) {
    shelf.borrow().as_ref().expect("it was polled").wake_by_ref();
}

#[test]
fn a_wake_by_another_task_never_polls_inline() {
    let (runtime, trace, shelf) = (runtime(), Trace::default(), Shelf::default());
    runtime.spawn(waits("woken", &trace, &shelf)).detach();
    settle(&runtime);
    trace.take();
    let told = trace.clone();
    let wakes = async move {
        told.add("wakes");
        wake(&shelf);
        told.add("goes on");
    };
    runtime.spawn(wakes).detach();
    settle(&runtime);
    assert_eq!(trace.take(), ["wakes", "goes on", "woken"]);
}

#[test]
fn a_wake_from_outside_a_turn_never_polls_inline() {
    let (runtime, trace, shelf) = (runtime(), Trace::default(), Shelf::default());
    runtime.spawn(waits("woken", &trace, &shelf)).detach();
    settle(&runtime);
    trace.take();
    wake(&shelf);
    runtime.enter(|| wake(&shelf));
    assert!(trace.take().is_empty());
    settle(&runtime);
    assert_eq!(trace.take(), ["woken"]);
}

#[test]
fn a_task_that_wakes_the_block_on_never_polls_it_inline() {
    let (trace, shelf) = (Trace::default(), Shelf::default());
    run(async {
        let (told, shelf) = (trace.clone(), Rc::clone(&shelf));
        poll_fn(|cx| {
            *shelf.borrow_mut() = Some(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
        spawn(async move {
            told.add("wakes");
            wake(&shelf);
            told.add("goes on");
        })
        .detach();
        yield_now().await;
        trace.add("woken");
    });
    assert_eq!(trace.take(), ["wakes", "goes on", "woken"]);
}

#[test]
fn timers_that_are_due_together_are_all_woken_before_a_task_is_polled() {
    let (runtime, trace) = (runtime(), Trace::default());
    let (wakes, waker) = Wakes::new();
    let due = Instant::now() + Duration::from_millis(100);
    let told = trace.clone();
    let task = runtime.spawn(async move {
        sleep_until(due).await;
        told.add(if wakes.count() == 1 { "last" } else { "too soon" });
    });
    runtime.turn(Some(Duration::ZERO)).unwrap();
    let mut behind = Timer::at(due);
    runtime.enter(|| {
        assert!(Pin::new(&mut behind).poll(&mut Context::from_waker(&waker)).is_pending());
    });
    run_on(&runtime, task);
    assert_eq!(trace.take(), ["last"]);
}

fn probed() -> (Runtime, Arc<Probe>) {
    let (probe, backend) = Probed::open();
    (Builder::new().build_with(backend).unwrap(), probe)
}

#[test]
fn wakes_within_a_turn_do_not_notify() {
    let (runtime, probe) = probed();
    run_on(&runtime, async {
        let (mut sender, mut receiver) = futures::channel::mpsc::channel::<u32>(1);
        let task = spawn(async move {
            use futures::StreamExt;
            while receiver.next().await.is_some() {}
        });
        for n in 0..if cfg!(miri) { 50 } else { 1_000 } {
            use futures::SinkExt;
            sender.send(n).await.unwrap();
            yield_now().await;
        }
        drop(sender);
        task.await;
    });
    assert_eq!(probe.notifications(), 0);
}

#[test]
fn a_block_on_woken_by_its_own_loop_does_not_notify() {
    let (runtime, probe) = probed();
    run_on(&runtime, async {
        for _ in 0..3 {
            sleep(Duration::from_millis(1)).await;
        }
    });
    assert_eq!(probe.notifications(), 0);
}

#[test]
fn second_wake_before_the_poll_does_not_notify_again() {
    let (runtime, probe) = probed();
    let (trace, shelves) = (Trace::default(), [Shelf::default(), Shelf::default()]);
    shelves.iter().for_each(|shelf| runtime.spawn(waits("polled", &trace, shelf)).detach());
    settle(&runtime);
    trace.take();
    let before = probe.notifications();
    for round in 1..4 {
        let wakers = shelves.clone().map(|shelf| shelf.take().expect("it was polled"));
        thread::scope(|scope| {
            scope.spawn(|| wakers.iter().chain(&wakers).for_each(Waker::wake_by_ref));
        });
        assert_eq!(probe.notifications() - before, round, "one a sleep, whoever wakes");
        settle(&runtime);
        assert_eq!(trace.take(), ["polled", "polled"]);
    }
}

#[test]
fn a_wake_from_another_thread_does_not_notify_a_loop_that_is_awake() {
    let (runtime, probe) = probed();
    run_on(&runtime, async {
        let (sender, receiver) = oneshot::channel();
        let task = spawn(receiver);
        yield_now().await;
        thread::spawn(move || sender.send(7)).join().unwrap().unwrap();
        assert_eq!(task.await, Ok(7));
    });
    assert_eq!(probe.notifications(), 0);
}

/// A thread that answers each request, so that the loop has just fallen asleep, or is about to.
fn answering() -> (Sender<oneshot::Sender<u32>>, JoinHandle<()>) {
    let (requests, received): (_, Receiver<oneshot::Sender<u32>>) = mpsc::channel();
    let thread = thread::spawn(move || {
        for (number, request) in (0..).zip(received) {
            request.send(number).unwrap();
        }
    });
    (requests, thread)
}

#[test]
fn no_wake_is_lost_when_the_loop_falls_asleep() {
    let rounds = if cfg!(miri) { 20 } else { 5_000 };
    let answers = run(async {
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                spawn(async move {
                    let (requests, thread) = answering();
                    for expected in 0..rounds {
                        let (sender, receiver) = oneshot::channel();
                        requests.send(sender).unwrap();
                        assert_eq!(receiver.await, Ok(expected));
                    }
                    drop(requests);
                    thread.join().unwrap();
                    rounds
                })
            })
            .collect();
        let mut answers = 0;
        for task in tasks {
            answers += task.await;
        }
        answers
    });
    assert_eq!(answers, 4 * rounds);
}

#[test]
fn no_wake_of_the_block_on_itself_is_lost_when_the_loop_falls_asleep() {
    let rounds = if cfg!(miri) { 20 } else { 20_000 };
    let (requests, thread) = answering();
    run(async {
        for expected in 0..rounds {
            let (sender, receiver) = oneshot::channel();
            requests.send(sender).unwrap();
            assert_eq!(receiver.await, Ok(expected));
        }
    });
    drop(requests);
    thread.join().unwrap();
}

#[test]
fn no_wake_is_lost_amid_a_flood_of_them() {
    let rounds = if cfg!(miri) { 20 } else { 100_000 };
    let waiting = Arc::new(AtomicWaker::new());
    let left = Arc::new(std::sync::atomic::AtomicUsize::new(4 * rounds));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (waiting, left) = (Arc::clone(&waiting), Arc::clone(&left));
            thread::spawn(move || {
                for _ in 0..rounds {
                    left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    waiting.wake();
                }
            })
        })
        .collect();
    run(async {
        let all_came = poll_fn(move |cx| {
            waiting.register(cx.waker());
            match left.load(std::sync::atomic::Ordering::SeqCst) {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        });
        spawn(all_came).await;
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_wake_of_a_block_on_that_has_ended_is_harmless() {
    let (runtime, shelf) = (runtime(), Shelf::default());
    let kept = Rc::clone(&shelf);
    let leaves_its_waker = poll_fn(move |cx| {
        *kept.borrow_mut() = Some(cx.waker().clone());
        Poll::Ready(())
    });
    runtime.block_on(leaves_its_waker);
    wake(&shelf);
    let waker = shelf.take().unwrap();
    thread::spawn(move || waker.wake()).join().unwrap();
    settle(&runtime);
    run_on(&runtime, yield_now());
}

#[test]
fn a_waker_that_panics_does_not_lose_the_wakers_behind_it() {
    let _quiet = liar::only_hidden_lies("one turn waits until the timers are due");
    let runtime = runtime();
    let (wakes, good) = Wakes::new();
    let bomb = Bomb::waker();
    let due = Instant::now() + Duration::from_millis(100);
    let task = runtime.spawn(sleep_until(due + Duration::from_nanos(1)));
    runtime.turn(Some(Duration::ZERO)).unwrap();
    let wakers = [&bomb, &good, &bomb, &good];
    let mut timers = [(); 4].map(|()| Timer::at(due));
    runtime.enter(|| {
        for (timer, waker) in timers.iter_mut().zip(wakers) {
            assert!(Pin::new(timer).poll(&mut Context::from_waker(waker)).is_pending());
        }
    });
    assert_eq!(panic_text(|| runtime.turn(Some(DEADLINE))), "the waker's panic");
    assert_eq!(wakes.count(), 2);
    run_on(&runtime, task);
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_waker_that_panics_does_not_lose_the_other_waiters_of_its_source() {
    let _quiet = liar::only_hidden_lies("wakes are counted");
    let runtime = runtime();
    let (mut near, far) = UnixStream::pair().unwrap();
    let far = runtime.enter(|| Async::new(far)).unwrap();
    let (wakes, good) = Wakes::new();
    let bomb = Bomb::waker();
    for waker in [&bomb, &good] {
        assert!(far.poll_readable(&mut Context::from_waker(waker)).is_pending());
    }
    settle(&runtime);
    near.write_all(b"x").unwrap();
    assert_eq!(panic_text(|| runtime.turn(Some(DEADLINE))), "the waker's panic");
    assert_eq!(wakes.count(), 1);
    assert!(far.poll_readable(&mut Context::from_waker(&good)).is_ready());
}

#[test]
fn a_task_that_is_never_woken_is_never_polled_again() {
    let (runtime, trace, shelf) = (runtime(), Trace::default(), Shelf::default());
    runtime.spawn(waits("polled", &trace, &shelf)).detach();
    runtime.spawn(pending::<()>()).detach();
    settle(&runtime);
    run_on(&runtime, async {
        for _ in 0..1_000 {
            yield_now().await;
        }
    });
    assert_eq!(trace.take(), ["polled"]);
}
