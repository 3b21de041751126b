//! `sleep`, `sleep_until` and `Timer`.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FusedStream;
use selkie::{Timer, sleep, sleep_until, yield_now};

use crate::util::{SILENCE, Stepped, Watcher, run};

const SOON: Duration = Duration::from_millis(2);

/// Long before any test ends, and far beyond.
const AGES: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn poll<F: Future + Unpin>(timer: &mut F, watcher: &Watcher) -> Poll<F::Output> {
    Pin::new(timer).poll(&mut Context::from_waker(&watcher.waker()))
}

#[test]
fn a_deadline_is_kept_to_the_nanosecond_and_never_early() {
    async fn sleep_often() {
        for nanos in (0..300).map(|i| i * 7_919 % 1_000_003) {
            let deadline = Instant::now() + Duration::from_nanos(nanos);
            assert_eq!(Timer::at(deadline).await, deadline);
            assert!(Instant::now() >= deadline);
            sleep_until(deadline).await;
            assert!(Instant::now() >= deadline);
        }
    }
    run(async || {
        sleep_often().await;
        // Now in a loop that never sleeps itself, and looks at the clock at all times.
        let restless = selkie::spawn(async {
            loop {
                yield_now().await;
            }
        });
        sleep_often().await;
        drop(restless);
        let start = Instant::now();
        let due = Timer::after(SOON).await;
        assert!(start + SOON <= due && due <= Instant::now());
    });
}

#[test]
fn what_is_past_is_ready_at_the_first_poll() {
    let stepped = Stepped::new();
    let start = Instant::now();
    let past = start.checked_sub(Duration::from_secs(1)).unwrap_or(start);
    let mut timers = [sleep_until(past), sleep_until(start), sleep(Duration::ZERO)];
    let watcher = Watcher::new();
    let mut poll_all =
        || timers.each_mut().map(|timer| stepped.enter(|| poll(timer, &watcher).is_ready()));
    assert_eq!(poll_all(), [true; 3]);
    assert_eq!(stepped.turn(Some(Duration::ZERO)).unwrap().timers, 0);
    assert_eq!(poll_all(), [true; 3], "ready for ever");
}

#[test]
fn what_lies_beyond_the_clock_never_fires_and_overflows_nothing() {
    let stepped = Stepped::new();
    let watcher = Watcher::new();
    let mut beyond =
        [Timer::after(Duration::from_secs(u64::MAX)), Timer::after(Duration::MAX), Timer::never()];
    for timer in &mut beyond {
        assert_eq!(timer.deadline(), None);
        assert!(stepped.enter(|| poll(timer, &watcher).is_pending()));
    }
    assert_eq!((stepped.next_deadline(), watcher.holders()), (None, beyond.len()));
    beyond[0].set_after(Duration::MAX);
    stepped.assert_idle();
    let mut late = sleep(AGES);
    assert!(stepped.enter(|| poll(&mut late, &watcher).is_pending()));
    assert_eq!(stepped.next_deadline(), late.deadline());
    stepped.assert_idle();
}

#[test]
fn a_loop_that_sleeps_for_ages_is_woken_by_what_comes_first() {
    run(async || {
        let ages = selkie::spawn(sleep(AGES));
        sleep(SOON).await;
        assert!(!ages.is_finished());
    });
}

#[test]
fn equal_deadlines_fire_in_the_order_in_which_they_were_set() {
    let stepped = Stepped::new();
    let deadline = Instant::now() + SOON;
    let order = Rc::new(RefCell::new(Vec::new()));
    for i in 0..100 {
        let order = Rc::clone(&order);
        let wait = async move {
            sleep_until(deadline).await;
            order.borrow_mut().push(i);
        };
        stepped.spawn(wait).detach();
    }
    stepped.until("all have fired", || order.borrow().len() == 100);
    assert!(order.borrow().is_sorted(), "{:?}", order.borrow());
}

#[test]
fn deadlines_fire_in_their_order_whatever_the_order_of_setting() {
    let stepped = Stepped::new();
    let start = Instant::now() + SILENCE;
    let order = Rc::new(RefCell::new(Vec::new()));
    for i in (0..200_u32).map(|i| i * 73 % 200) {
        let order = Rc::clone(&order);
        let wait = async move {
            sleep_until(start + i * Duration::from_micros(20)).await;
            order.borrow_mut().push(i);
        };
        stepped.spawn(wait).detach();
    }
    stepped.settle(); // All are set before the first is due.
    stepped.until("all have fired", || order.borrow().len() == 200);
    assert!(order.borrow().is_sorted(), "{:?}", order.borrow());
}

#[test]
fn a_timer_that_is_set_anew_fires_for_the_new_deadline_only() {
    let stepped = Stepped::new();
    let watcher = Watcher::new();
    let (soon, late) = (Instant::now() + SOON, Instant::now() + AGES);
    let mut timer = Timer::at(late);
    assert!(stepped.enter(|| poll(&mut timer, &watcher).is_pending()));
    timer.set_at(soon);
    assert_eq!(timer.deadline(), Some(soon));
    assert_eq!(stepped.next_deadline(), Some(soon), "the old deadline is gone");
    assert_eq!(stepped.finish(pin!(&mut timer), &watcher), soon);

    // Later instead of sooner: the old deadline passes without a word.
    timer.set_at(Instant::now() + SOON);
    assert!(stepped.enter(|| poll(&mut timer, &watcher).is_pending()));
    timer.set_after(AGES);
    assert!(stepped.enter(|| poll(&mut timer, &watcher).is_pending()));
    let woken = watcher.count();
    stepped.assert_idle();
    assert_eq!(watcher.count(), woken);

    timer = Timer::never();
    assert!(stepped.enter(|| poll(&mut timer, &watcher).is_pending()));
    timer.set_after(Duration::ZERO);
    stepped.finish(pin!(timer), &watcher);
}

#[test]
fn a_timer_is_a_stream_of_one_item_and_of_another_when_it_is_set_anew() {
    run(async || {
        let mut timer = Timer::after(SOON);
        for _ in 0..2 {
            let deadline = timer.deadline();
            assert!(!timer.is_terminated());
            assert_eq!(timer.next().await, deadline);
            assert!(timer.is_terminated());
            assert_eq!(timer.next().await, None);
            assert_eq!(Some((&mut timer).await), deadline, "as a future it stays ready");
            timer.set_after(SOON);
        }
        let mut never = Timer::never();
        assert!(!never.is_terminated());
        assert!(futures::poll!(never.next()).is_pending());
        let text = format!("{timer:?} {never:?}");
        assert!(text.contains("idle") && text.contains("deadline: None"), "{text}");
    });
}

#[test]
fn a_timer_in_a_select_loop_is_not_begun_anew_each_time() {
    run(async || {
        let mut timer = Timer::after(SOON);
        let mut turns = 0_u64;
        loop {
            futures::select_biased! {
                _ = timer.next() => break,
                () = futures::FutureExt::fuse(yield_now()) => turns += 1,
            }
        }
        assert!(turns > 0);
    });
}

#[test]
fn a_timer_that_moves_to_another_task_wakes_that_one_only() {
    let stepped = Stepped::new();
    let [old, new] = [(); 2].map(|()| Watcher::new());
    let mut timer = sleep(SOON);
    assert!(stepped.enter(|| poll(&mut timer, &old).is_pending()));
    assert!(stepped.enter(|| poll(&mut timer, &new).is_pending()));
    assert_eq!((old.holders(), new.holders()), (0, 1));
    stepped.finish(pin!(timer), &new);
    assert_eq!((old.count(), new.count(), new.holders()), (0, 1, 0));
}

#[test]
fn a_timer_that_moves_between_tasks_of_a_runtime_fires_there() {
    run(async || {
        let mut timer = sleep(SOON);
        assert!(futures::poll!(&mut timer).is_pending());
        selkie::spawn(timer).await;
    });
}

#[test]
fn a_timer_that_is_dropped_leaves_the_queue_at_once() {
    let stepped = Stepped::new();
    let watcher = Watcher::new();
    let mut timers = [SOON, SILENCE, AGES].map(sleep);
    for timer in timers.iter_mut().rev() {
        assert!(stepped.enter(|| poll(timer, &watcher).is_pending()));
        assert_eq!(stepped.next_deadline(), timer.deadline());
    }
    let [soon, silence, ages] = timers;
    drop(soon);
    assert_eq!(stepped.next_deadline(), silence.deadline());
    drop(ages);
    assert_eq!(stepped.next_deadline(), silence.deadline());
    drop(silence);
    assert_eq!((stepped.next_deadline(), watcher.holders()), (None, 0));
    stepped.assert_idle();
    assert_eq!(watcher.count(), 0);
}

#[test]
fn a_turn_waits_no_longer_than_the_first_timer_and_counts_what_was_due() {
    let stepped = Stepped::new();
    let watcher = Watcher::new();
    let deadline = Instant::now() + SOON;
    let mut timers = [deadline, deadline, deadline + AGES].map(sleep_until);
    for timer in &mut timers {
        assert!(stepped.enter(|| poll(timer, &watcher).is_pending()));
    }
    let turn = stepped.turn(None).unwrap();
    assert_eq!((turn.timers, turn.events, turn.polls, turn.more), (2, 0, 0, false));
    assert!(Instant::now() >= deadline);
    assert_eq!(watcher.count(), 2);
}

#[test]
fn timers_fire_though_tasks_and_sources_are_always_ready() {
    run(async || {
        let has_fired = Rc::new(Cell::new(false));
        let flag = Rc::clone(&has_fired);
        let timer = selkie::spawn(async move {
            sleep(SOON).await;
            flag.set(true);
        });
        let flag = Rc::clone(&has_fired);
        let busy = selkie::spawn(async move {
            while !flag.get() {
                yield_now().await;
            }
        });
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        let near = selkie::Async::new(near).unwrap();
        std::io::Write::write_all(&mut &far, b"x").unwrap();
        // Always readable: nobody takes the byte.
        while !has_fired.get() {
            assert_eq!(near.peek(&mut [0]).await.unwrap(), 1);
        }
        futures::join!(timer, busy);
    });
}

#[test]
fn a_timer_may_be_made_outside_a_runtime_but_not_polled() {
    let mut timer = sleep(SOON);
    let poll = || poll(&mut timer, &Watcher::new());
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll)).unwrap_err();
    let text = panic.downcast_ref::<&str>().unwrap();
    assert!(text.contains("there is no selkie runtime on this thread"), "{text}");
    selkie::block_on(timer);
}

#[test]
#[should_panic(expected = "a timer cannot wait: the runtime of this source is gone")]
fn a_timer_whose_runtime_is_gone_panics_and_does_not_hang() {
    run(async || {
        let owner = selkie::Runtime::new().unwrap();
        let mut timer = sleep(AGES);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(owner.enter(|| Pin::new(&mut timer).poll(&mut cx)).is_pending());
        let drop_owner = async {
            yield_now().await;
            drop(owner);
        };
        futures::join!(timer, drop_owner);
    });
}

#[test]
fn a_task_that_waits_for_a_timer_is_woken_at_the_time_that_another_sets() {
    run(async || {
        let timer = Rc::new(RefCell::new(Timer::after(AGES)));
        let ways: [fn(&mut Timer); 4] = [
            |timer| timer.set_after(SOON),
            |timer| timer.set_at(Instant::now() + SOON),
            |timer| timer.set_at(Instant::now() - SOON),
            |timer| {
                timer.set_never();
                timer.set_after(SOON);
            },
        ];
        for set in ways {
            let waits = Rc::clone(&timer);
            let task =
                selkie::spawn(poll_fn(move |cx| Pin::new(&mut *waits.borrow_mut()).poll(cx)));
            yield_now().await;
            set(&mut timer.borrow_mut());
            task.await;
            timer.borrow_mut().set_after(AGES);
        }
    });
}

#[test]
fn a_sleep_that_is_reset_wakes_its_task_at_the_new_time() {
    let stepped = Stepped::new();
    let watcher = Watcher::new();
    let mut sleeps = sleep(AGES);
    assert!(stepped.enter(|| poll(&mut sleeps, &watcher).is_pending()));
    sleeps.reset(Instant::now() + SOON);
    assert_eq!((stepped.next_deadline(), watcher.holders()), (sleeps.deadline(), 1));
    stepped.until("it is woken without another poll", || watcher.count() == 1);
    assert!(stepped.enter(|| poll(&mut sleeps, &watcher).is_ready()));
    assert!(sleeps.is_elapsed());
}

#[test]
fn a_timer_that_fired_is_ready_though_its_runtime_has_gone() {
    let stepped = Stepped::new();
    let watcher = Watcher::new();
    let mut fired = Timer::after(Duration::from_nanos(1));
    assert!(stepped.enter(|| poll(&mut fired, &watcher).is_pending()));
    stepped.until("it fires", || watcher.count() == 1);
    stepped.close();
    assert!(poll(&mut fired, &watcher).is_ready());
}

#[test]
fn ticks_that_are_past_are_ready_one_after_the_other_within_the_budget() {
    let stepped = Stepped::new();
    let watcher = Watcher::new();
    let start = Instant::now() - Duration::from_secs(1);
    let mut interval = selkie::time::interval_at(start, Duration::from_millis(1));
    let mut tick = || {
        let mut cx = Context::from_waker(Waker::noop());
        stepped.enter(|| interval.poll_tick(&mut cx))
    };
    for number in 0..500 {
        assert_eq!(tick(), Poll::Ready(start + number * Duration::from_millis(1)));
    }
    drop(watcher);
    // In a task there is a limit.
    let most = stepped.block_on(async {
        let mut interval = selkie::time::interval_at(start, Duration::from_millis(1));
        let mut in_a_row = 0;
        poll_fn(|cx| {
            while interval.poll_tick(cx).is_ready() {
                in_a_row += 1;
            }
            Poll::Ready(())
        })
        .await;
        in_a_row
    });
    assert_eq!(most, 32, "as the builder's documentation says");
}

#[test]
fn an_interval_can_be_reset_and_take_another_policy_while_it_runs() {
    use selkie::time::{MissedTicks, interval_at};
    run(async || {
        let mut interval = interval_at(Instant::now() + AGES, AGES);
        interval.reset_immediately();
        let now = Instant::now();
        assert!(interval.tick().await <= now);
        interval.reset_after(SOON);
        assert!(interval.tick().await >= now + SOON);
        let at = Instant::now() + SOON;
        interval.reset_at(at);
        assert_eq!(interval.tick().await, at);
        interval.reset();
        assert!(futures::poll!(Box::pin(interval.tick())).is_pending());
        interval.set_missed_ticks(MissedTicks::Skip);
        assert!(!FusedStream::is_terminated(&interval));
    });
}
