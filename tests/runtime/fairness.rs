//! Whoever never waits lets the others go on all the same. Shown by the order of events, not by
//! the time they take: the busy one goes on until the others have been served, or gives up after
//! far more rounds than it should need.

use std::cell::Cell;
use std::future::poll_fn;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, Builder, Runtime, Task, sleep, spawn, yield_now};

use crate::util::{build, run, run_on, runtime};

/// Rounds after which a busy task calls the others starved: more than it gets through in the
/// millisecond that the timer takes, on any machine, and yet bounded.
const MOST: usize = 50_000_000;

/// Set when the neighbours have been served.
#[derive(Clone, Default)]
struct Served(Rc<Cell<bool>>);

impl Served {
    fn yet(&self) -> bool {
        self.0.get()
    }

    /// Counts a round of the busy task; false when it may stop.
    fn goes_on(&self, rounds: &mut usize) -> bool {
        *rounds += 1;
        assert!(*rounds < MOST, "the others are starved");
        !self.yet()
    }
}

fn pair() -> (Async<UnixStream>, Async<UnixStream>) {
    let (one, other) = UnixStream::pair().unwrap();
    (Async::new(one).unwrap(), Async::new(other).unwrap())
}

/// What has to be served: a timer of a millisecond, and a conversation with an echo.
async fn neighbours() {
    let (near, mut far) = pair();
    let echo = spawn(async move {
        let mut buf = [0; 64];
        while let Ok(len @ 1..) = far.read(&mut buf).await {
            far.write_all(&buf[..len]).await.unwrap();
        }
    });
    let client = spawn(async move {
        let mut near = near;
        for byte in 0..10 {
            near.write_all(&[byte]).await.unwrap();
            let mut answer = [0];
            near.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, [byte]);
        }
    });
    sleep(Duration::from_millis(1)).await;
    client.await;
    echo.await;
}

/// Serves the neighbours beside `busy`, which goes on until they are served.
async fn beside(served: Served, busy: Vec<Task<()>>) {
    let neighbours = spawn(neighbours());
    neighbours.await;
    served.0.set(true);
    for task in busy {
        task.await;
    }
}

/// An operation that is always ready, for ever.
async fn firehose(served: Served) {
    let (near, _far) = pair();
    let mut rounds = 0;
    while served.goes_on(&mut rounds) {
        near.read_with(|_| Ok(())).await.unwrap();
    }
}

/// Bytes that are always there: two tasks fill and empty a socket as fast as they can.
fn bytes(served: &Served) -> Vec<Task<()>> {
    let (mut near, mut far) = pair();
    let (writes, reads) = (served.clone(), served.clone());
    let writer = spawn(async move {
        let mut rounds = 0;
        while writes.goes_on(&mut rounds) {
            near.write_all(&[0; 512]).await.unwrap();
        }
    });
    let reader = spawn(async move {
        let mut rounds = 0;
        while let Ok(1..) = far.read(&mut [0; 512]).await {
            reads.goes_on(&mut rounds);
        }
    });
    vec![writer, reader]
}

async fn wakes_itself(served: Served) {
    let mut rounds = 0;
    while served.goes_on(&mut rounds) {
        yield_now().await;
    }
}

#[test]
fn a_firehose_leaves_a_timer_and_an_echo_served() {
    run(async {
        let served = Served::default();
        let busy = vec![spawn(firehose(served.clone()))];
        beside(served, busy).await;
    });
}

#[test]
fn a_socket_full_of_bytes_leaves_a_timer_and_an_echo_served() {
    run(async {
        let served = Served::default();
        let busy = bytes(&served);
        beside(served, busy).await;
    });
}

#[test]
fn a_firehose_in_block_on_itself_leaves_a_timer_and_an_echo_served() {
    run(async {
        let served = Served::default();
        let beside = spawn(beside(served.clone(), Vec::new()));
        firehose(served).await;
        beside.await;
    });
}

#[test]
fn a_task_that_wakes_itself_leaves_a_timer_and_an_echo_served() {
    run(async {
        let served = Served::default();
        let busy = (0..200).map(|_| spawn(wakes_itself(served.clone()))).collect();
        beside(served, busy).await;
    });
}

#[test]
fn a_block_on_that_wakes_itself_leaves_a_timer_and_an_echo_served() {
    run(async {
        let served = Served::default();
        let beside = spawn(beside(served.clone(), Vec::new()));
        wakes_itself(served).await;
        beside.await;
    });
}

#[test]
fn tasks_that_wake_each_other_leave_a_timer_and_an_echo_served() {
    run(async {
        let served = Served::default();
        let busy = (0..2)
            .flat_map(|_| {
                let (mut one, mut other) = futures::channel::mpsc::channel::<()>(0);
                let (sends, receives) = (served.clone(), served.clone());
                let sender = spawn(async move {
                    use futures::SinkExt;
                    let mut rounds = 0;
                    while sends.goes_on(&mut rounds) {
                        one.send(()).await.unwrap();
                    }
                });
                let receiver = spawn(async move {
                    use futures::StreamExt;
                    let mut rounds = 0;
                    while other.next().await.is_some() {
                        receives.goes_on(&mut rounds);
                    }
                });
                [sender, receiver]
            })
            .collect();
        beside(served, busy).await;
    });
}

#[test]
fn tasks_that_spawn_their_successors_leave_a_timer_and_an_echo_served() {
    fn chain(served: Served, mut rounds: usize) {
        if served.goes_on(&mut rounds) {
            spawn(async move { chain(served, rounds) }).detach();
        }
    }
    run(async {
        let served = Served::default();
        chain(served.clone(), 0);
        beside(served, Vec::new()).await;
    });
}

/// Runs `flood` on two threads, again and again, until the neighbours are served.
fn flooded(runtime: &Runtime, flood: impl Fn() + Send + Sync + 'static) {
    let (flood, stop) = (Arc::new(flood), Arc::new(AtomicBool::new(false)));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (flood, stop) = (Arc::clone(&flood), Arc::clone(&stop));
            thread::spawn(move || {
                (0..MOST).take_while(|_| !stop.load(SeqCst)).for_each(|_| flood())
            })
        })
        .collect();
    run_on(runtime, neighbours());
    assert!(threads.iter().all(|thread| !thread.is_finished()), "the flood ended too early");
    stop.store(true, SeqCst);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_flood_of_wakes_from_other_threads_leaves_a_timer_and_an_echo_served() {
    let runtime = runtime();
    let waiting = Arc::new(futures::task::AtomicWaker::new());
    let woken = Arc::clone(&waiting);
    let waits = poll_fn(move |cx| {
        waiting.register(cx.waker());
        Poll::<()>::Pending
    });
    runtime.spawn(waits).detach();
    flooded(&runtime, move || woken.wake());
}

#[test]
fn a_flood_of_notifications_leaves_a_timer_and_an_echo_served() {
    let runtime = runtime();
    let remote = runtime.remote();
    flooded(&runtime, move || remote.notify());
}

#[test]
fn a_flood_of_spawns_from_other_threads_leaves_a_timer_and_an_echo_served() {
    let runtime = runtime();
    let remote = runtime.remote();
    // A thread that spawns faster than the loop can run would fill the memory, not starve
    // anybody: so each waits until its task was polled, but for a hundred.
    let (sender, ended) = std::sync::mpsc::sync_channel::<()>(100);
    let ended = std::sync::Mutex::new(ended);
    (0..100).for_each(|_| sender.send(()).unwrap());
    flooded(&runtime, move || {
        if ended.lock().unwrap().try_recv().is_ok() {
            let sender = sender.clone();
            remote.spawn(|| async move { sender.send(()).unwrap() }).unwrap().detach();
        }
    });
}

#[test]
fn a_block_on_that_yields_lets_every_ready_task_go_first() {
    run(async {
        let polled = Rc::new(Cell::new(0));
        for round in 1..4 {
            for _ in 0..10 {
                let polled = Rc::clone(&polled);
                spawn(async move { polled.set(polled.get() + 1) }).detach();
            }
            yield_now().await;
            assert_eq!(polled.get(), 10 * round);
        }
    });
}

#[test]
fn a_block_on_that_always_yields_leaves_a_poll_to_the_tasks_even_if_turns_have_but_one() {
    let runtime = build(Builder::new().polls_per_turn(1));
    run_on(&runtime, async {
        let task = spawn(async { yield_now().await });
        while !task.is_finished() {
            yield_now().await;
        }
    });
}

#[test]
fn tasks_that_always_wake_themselves_are_polled_in_turns() {
    let (runtime, counts) = (runtime(), [(); 3].map(|()| Rc::new(Cell::new(0_usize))));
    for count in &counts {
        let count = Rc::clone(count);
        let busy = async move {
            loop {
                count.set(count.get() + 1);
                yield_now().await;
            }
        };
        runtime.spawn(busy).detach();
    }
    for _ in 0..10 {
        runtime.turn(Some(Duration::ZERO)).unwrap();
        let polled: Vec<_> = counts.iter().map(|count| count.get()).collect();
        assert!(polled.iter().max().unwrap() - polled.iter().min().unwrap() <= 1, "{polled:?}");
    }
}
