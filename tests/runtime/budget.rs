//! The cooperative budget: an operation that succeeds too often within one poll yields, and no
//! combinator between it and the task swallows that.

use std::cell::Cell;
use std::future::Future;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use futures::future::{Either, join, join_all, select, select_all};
use futures::stream::{self, FuturesUnordered};
use futures::{FutureExt, StreamExt};
use selkie::time::Elapsed;
use selkie::{Async, Builder, sleep, spawn, timeout, yield_now};

use crate::backends::Probed;
use crate::util::{build, run, run_on, runtime};

/// Rounds after which a firehose calls the others starved.
const MOST: usize = 50_000_000;

/// An operation that is always ready, until `stop`; counts.
struct Firehose {
    source: Async<UnixStream>,
    stop: Rc<Cell<bool>>,
    operations: Rc<Cell<usize>>,
}

impl Firehose {
    fn new(stop: &Rc<Cell<bool>>) -> Self {
        let source = Async::new(UnixStream::pair().unwrap().0).unwrap();
        Self { source, stop: Rc::clone(stop), operations: Rc::default() }
    }

    async fn run(self) {
        while !self.stop.get() {
            self.source.read_with(|_| Ok(())).await.unwrap();
            self.operations.set(self.operations.get() + 1);
            assert!(self.operations.get() < MOST, "the others are starved");
        }
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);

/// Stops the firehoses of the test when a timer of the same future has fired, after a timer of
/// another task.
async fn stop_after_a_timer(stop: Rc<Cell<bool>>) {
    let other = spawn(sleep(MILLISECOND));
    sleep(MILLISECOND).await;
    other.await;
    stop.set(true);
}

#[test]
fn a_firehose_joined_with_a_timer_does_not_starve_it() {
    run(async {
        let stop = Rc::default();
        join(Firehose::new(&stop).run(), stop_after_a_timer(Rc::clone(&stop))).await;
    });
}

#[test]
fn firehoses_in_a_join_all_do_not_starve_a_timer_in_it() {
    run(async {
        let stop = Rc::default();
        // More than 30, for which join_all is a FuturesUnordered, and few.
        for count in [2, 40] {
            let firehoses = (0..count).map(|_| Firehose::new(&stop).run().boxed_local());
            let timer = stop_after_a_timer(Rc::clone(&stop)).boxed_local();
            join_all(firehoses.chain([timer])).await;
            stop.set(false);
        }
    });
}

#[test]
fn firehoses_in_a_futures_unordered_do_not_starve_a_timer_in_it() {
    run(async {
        for count in 1..5 {
            let stop = Rc::default();
            let all = FuturesUnordered::new();
            (0..count).for_each(|_| all.push(Firehose::new(&stop).run().boxed_local()));
            all.push(stop_after_a_timer(Rc::clone(&stop)).boxed_local());
            assert_eq!(all.count().await, count + 1);
        }
    });
}

#[test]
fn firehoses_in_a_futures_unordered_share_alike() {
    run(async {
        let stop = Rc::default();
        let hoses = [(); 3].map(|()| Firehose::new(&stop));
        let counts = hoses.each_ref().map(|hose| Rc::clone(&hose.operations));
        let all: FuturesUnordered<_> = hoses.into_iter().map(Firehose::run).collect();
        let task = spawn(all.count());
        stop_after_a_timer(stop).await;
        task.await;
        let counts = counts.map(|count| count.get());
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    });
}

#[test]
fn a_firehose_selected_against_a_timer_lets_it_win() {
    run(async {
        let never = Rc::default();
        let timer = || stop_after_a_timer(Rc::default());
        let firehose = || Firehose::new(&never).run();
        assert!(matches!(select(pin!(firehose()), pin!(timer())).await, Either::Right(_)));
        let both = [firehose().boxed_local(), timer().boxed_local()];
        assert_eq!(select_all(both).await.1, 1);
        futures::select! {
            () = pin!(firehose().fuse()) => panic!("it never ends"),
            () = pin!(timer().fuse()) => {}
        }
    });
}

#[test]
fn a_firehose_in_a_biased_select_loop_does_not_starve_what_is_behind_it() {
    run(async {
        let stop = Rc::new(Cell::new(false));
        let hose = Firehose::new(&stop);
        let mut timer = pin!(stop_after_a_timer(Rc::clone(&stop)).fuse());
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds < MOST, "the timer is starved");
            let mut ready = pin!(hose.source.read_with(|_| Ok(())).fuse());
            futures::select_biased! {
                result = ready => result.unwrap(),
                () = timer => break,
            }
        }
    });
}

#[test]
fn a_firehose_does_not_outlast_its_timeout() {
    run(async {
        let stop = Rc::default();
        assert_eq!(timeout(MILLISECOND, Firehose::new(&stop).run()).await, Err(Elapsed::new()));
        let nested = timeout(Duration::MAX, timeout(MILLISECOND, Firehose::new(&stop).run()));
        assert_eq!(nested.await, Ok(Err(Elapsed::new())));
    });
}

#[test]
fn firehoses_in_a_buffered_stream_do_not_starve_a_timer_in_it() {
    run(async {
        let stop = Rc::default();
        let firehoses = (0..3).map(|_| Firehose::new(&stop).run().boxed_local());
        let all = firehoses.chain([stop_after_a_timer(Rc::clone(&stop)).boxed_local()]);
        assert_eq!(stream::iter(all).buffer_unordered(4).count().await, 4);
    });
}

/// How many operations a firehose gets through in one poll.
fn operations_in_a_poll(builder: Builder) -> usize {
    run_on(&build(builder), async {
        let stop = Rc::default();
        let hose = Firehose::new(&stop);
        let operations = Rc::clone(&hose.operations);
        let task = spawn(hose.run());
        yield_now().await;
        drop(task);
        operations.get()
    })
}

#[test]
fn a_poll_has_as_many_operations_as_the_builder_says() {
    for operations in [1, 5, 1_000] {
        let builder = Builder::new().operations_per_poll(operations);
        assert_eq!(operations_in_a_poll(builder), operations as usize);
    }
    assert_eq!(operations_in_a_poll(Builder::new()), 32, "as the builder's documentation says");
}

#[test]
fn the_budget_is_that_of_the_whole_poll_not_of_each_source() {
    let runtime = build(Builder::new().operations_per_poll(10));
    run_on(&runtime, async {
        let stop = Rc::default();
        let hoses = [(); 4].map(|()| Firehose::new(&stop));
        let counts = hoses.each_ref().map(|hose| Rc::clone(&hose.operations));
        let task = spawn(join_all(hoses.map(Firehose::run)));
        yield_now().await;
        assert_eq!(counts.iter().map(|count| count.get()).sum::<usize>(), 10);
        drop(task);
    });
}

#[test]
fn outside_a_poll_of_the_runtime_there_is_no_budget() {
    let runtime = runtime();
    let source = runtime.enter(|| Async::new(UnixStream::pair().unwrap().0)).unwrap();
    let ready = || source.read_with(|_| Ok(())).now_or_never();
    assert_eq!((0..1_000).take_while(|_| ready().is_some()).count(), 1_000);
}

#[test]
fn a_task_that_has_used_up_its_budget_leaves_the_next_one_all_of_its() {
    run(async {
        let stop = Rc::default();
        let hoses = [(); 2].map(|()| Firehose::new(&stop));
        let counts = hoses.each_ref().map(|hose| Rc::clone(&hose.operations));
        let tasks = hoses.map(|hose| spawn(hose.run()));
        yield_now().await;
        assert_eq!(counts.map(|count| count.get()), [32, 32]);
        drop(tasks);
    });
}

/// How often a turn of at most 64 polls polls a task that does so many operations each time.
fn polls_in_a_turn(operations: u32) -> usize {
    let most = 64;
    let builder = Builder::new().polls_per_turn(most).operations_per_poll(operations);
    let (runtime, stop) = (build(builder), Rc::default());
    let hose = runtime.enter(|| Firehose::new(&stop));
    let task = runtime.spawn(hose.run());
    let turn = runtime.turn(Some(Duration::ZERO)).unwrap();
    drop(task);
    turn.polls
}

#[test]
fn polls_that_do_much_io_fill_a_turn_sooner() {
    assert_eq!(polls_in_a_turn(2), 64, "a read and a write");
    assert_eq!(polls_in_a_turn(3), 64, "still less than what counts as another poll");
    assert_eq!(polls_in_a_turn(4), 32, "each counts as two");
    assert_eq!(polls_in_a_turn(32), 8, "each counts as nine");
}

#[test]
fn a_block_on_that_only_yields_is_polled_until_the_turn_is_full() {
    for (most, turns) in [(64, 1), (8, 8)] {
        let (probe, backend) = Probed::open();
        let builder = Builder::new().polls_per_turn(most);
        let runtime = builder.build_with(backend).unwrap();
        run_on(&runtime, async {
            for _ in 1..64 {
                yield_now().await;
            }
        });
        assert_eq!(probe.waits(), turns);
    }
}

#[test]
fn a_task_whose_channel_never_runs_empty_yields_if_it_consumes_its_budget() {
    let runtime = build(Builder::new().operations_per_poll(10));
    let received = Rc::new(Cell::new(0));
    let count = Rc::clone(&received);
    let task = runtime.spawn(async move {
        loop {
            count.set(count.get() + 1);
            selkie::consume_budget().await;
        }
    });
    let turn = runtime.turn(Some(Duration::ZERO)).unwrap();
    assert!(turn.more, "it would go on for ever");
    // Its first poll goes on to the eleventh, which it begins before it yields.
    assert_eq!(received.get(), 10 * turn.polls + 1, "ten operations a poll");
    drop(task);
    // Outside a task there is no limit.
    let mut cx = Context::from_waker(Waker::noop());
    assert!((0..1000).all(|_| pin!(selkie::consume_budget()).poll(&mut cx).is_ready()));
}

#[test]
fn a_poll_with_many_firehoses_is_bounded_and_serves_all_of_them() {
    const HOSES: usize = 100;
    let runtime = build(Builder::new().operations_per_poll(8).polls_per_turn(1));
    let stop = Rc::default();
    let hoses: Vec<_> = runtime.enter(|| (0..HOSES).map(|_| Firehose::new(&stop)).collect());
    let counts: Vec<_> = hoses.iter().map(|hose| Rc::clone(&hose.operations)).collect();
    let mut all: Vec<_> = hoses.into_iter().map(|hose| Box::pin(hose.run())).collect();
    // In an order that never changes, as `join!` has it.
    let _task = runtime.spawn(std::future::poll_fn(move |cx| {
        all.iter_mut().for_each(|hose| assert!(hose.as_mut().poll(cx).is_pending()));
        std::task::Poll::<()>::Pending
    }));
    let done = || counts.iter().map(|count| count.get()).sum::<usize>();
    for _ in 0..200 {
        let before = done();
        runtime.turn(Some(Duration::ZERO)).unwrap();
        assert!(done() - before <= 16, "{} operations in a poll", done() - before);
    }
    assert!(counts.iter().all(|count| count.get() >= 8), "{:?}", counts);
}
