//! The end of a group within a time.

use std::future::pending;
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use selkie::task::{OnPanic, Shutdown};
use selkie::{Cancel, TaskGroup, sleep, spawn, timeout, yield_now};

use crate::group::stuck;
use crate::util::{DEADLINE, Trace, panic_text, run, run_on, runtime, settle};

/// Longer than any test waits.
const HOUR: Duration = Duration::from_secs(3600);

fn counts(Shutdown { finished, cancelled, panicked, .. }: Shutdown) -> [usize; 3] {
    [finished, cancelled, panicked]
}

#[test]
fn tasks_may_end_within_the_grace_and_the_rest_is_cancelled() {
    run(async {
        let (mut group, trace) = (TaskGroup::new(), Trace::default());
        for number in 0..3 {
            let token = group.token().clone();
            group.spawn(async move {
                token.cancelled().await;
                yield_now().await;
                number
            });
        }
        (0..2).for_each(|_| group.spawn(stuck(&trace, "cancelled")));
        yield_now().await;
        let before = Instant::now();
        let grace = Duration::from_millis(20);
        assert_eq!(counts(group.shutdown(grace).await), [3, 2, 0]);
        assert!(before.elapsed() >= grace);
        assert_eq!(trace.take(), ["cancelled", "cancelled"], "they are gone by now");
        assert!(group.is_empty());
        let mut values = Vec::new();
        while let Some(result) = group.join_next().await {
            values.extend(result.ok());
        }
        assert_eq!(values, [0, 1, 2], "no value is lost");
    });
}

#[test]
fn a_shutdown_ends_with_the_last_task_and_not_with_its_grace() {
    run(async {
        let mut group = TaskGroup::new();
        let token = group.token().clone();
        group.spawn(async move { token.cancelled().await });
        assert_eq!(counts(group.shutdown(HOUR).await), [1, 0, 0]);
        assert_eq!(counts(group.shutdown(HOUR).await), [0, 0, 0], "an empty one at once");
    });
}

#[test]
fn a_group_that_was_shut_down_takes_no_tasks() {
    run(async {
        let mut group = TaskGroup::new();
        let spawner = group.spawner();
        group.spawn(async move {
            yield_now().await;
            spawner.spawn(async { unreachable!("it is refused") });
            7
        });
        group.close();
        assert!(group.is_closed());
        assert_eq!(counts(group.shutdown(HOUR).await), [1, 1, 0]);
        assert!(group.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert_eq!(group.join_next().await.unwrap().unwrap(), 7);
        assert!(group.join_next().await.is_none());
    });
}

#[test]
fn with_no_grace_what_can_end_in_a_turn_does() {
    run(async {
        let mut group = TaskGroup::<()>::new();
        group.spawn(async {});
        group.spawn(pending());
        assert_eq!(counts(group.shutdown(Duration::ZERO).await), [1, 1, 0]);
    });
}

#[test]
fn an_endless_grace_is_no_overflow() {
    run(async {
        let mut group = TaskGroup::new();
        group.spawn(sleep(Duration::from_millis(1)));
        assert_eq!(counts(group.shutdown(Duration::MAX).await), [1, 0, 0]);
    });
}

#[test]
fn a_panic_goes_on_after_the_shutdown_of_the_others() {
    let (runtime, trace) = (runtime(), Trace::default());
    let mut group = TaskGroup::<()>::new();
    runtime.enter(|| {
        group.spawn(async { resume_unwind(Box::new("the test's panic")) });
        group.spawn(stuck(&trace, "cancelled"));
    });
    settle(&runtime);
    let shutdown = group.shutdown(Duration::from_millis(1));
    assert_eq!(panic_text(|| run_on(&runtime, shutdown)), "the test's panic");
    assert_eq!(trace.take(), ["cancelled"]);
}

#[test]
fn panics_are_counted_where_they_are_results() {
    run(async {
        let mut group = TaskGroup::<()>::with(Cancel::new(), OnPanic::Return);
        group.spawn(async { resume_unwind(Box::new("the test's panic")) });
        assert_eq!(counts(group.shutdown(HOUR).await), [0, 0, 1]);
        assert!(group.join_next().await.unwrap().unwrap_err().is_panic());
    });
}

#[test]
fn an_outer_timeout_ends_a_shutdown_before_its_grace() {
    let (runtime, trace) = (runtime(), Trace::default());
    run_on(&runtime, async {
        let mut group = TaskGroup::<()>::new();
        group.spawn(stuck(&trace, "cancelled"));
        yield_now().await;
        let outer = timeout(Duration::from_millis(5), group.shutdown(HOUR)).await;
        outer.expect_err("the group is patient");
        assert_eq!(trace.take(), [""; 0]);
        assert_eq!(counts(group.shutdown(Duration::ZERO).await), [0, 1, 0], "again, with less");
    });
    assert_eq!(trace.take(), ["cancelled"]);
}

#[test]
fn an_outer_cancel_beats_the_grace_of_the_groups_own() {
    run(async {
        let trace = Trace::default();
        let inner = trace.clone();
        let mut outer = TaskGroup::<()>::new();
        outer.spawn(async move {
            let mut group = TaskGroup::<()>::new();
            group.spawn(stuck(&inner, "the inner group's task"));
            yield_now().await;
            group.shutdown(HOUR).await;
            unreachable!("the task of the inner group does not end");
        });
        yield_now().await;
        let ended = timeout(DEADLINE / 2, outer.shutdown(Duration::from_millis(5))).await;
        assert_eq!(counts(ended.unwrap()), [0, 1, 0]);
        // The inner group was dropped, and its task is in the queue to be dropped.
        yield_now().await;
        yield_now().await;
        assert_eq!(trace.take(), ["the inner group's task"]);
    });
}

#[test]
fn a_token_from_outside_asks_the_tasks_of_a_group_and_the_groups_own_end_not_the_outside() {
    run(async {
        let outer = Cancel::new();
        let mut asked = TaskGroup::with(outer.child(), OnPanic::default());
        let mut other = TaskGroup::<()>::with(outer.child(), OnPanic::default());
        let token = asked.token().clone();
        asked.spawn(async move { token.cancelled().await });
        other.shutdown(HOUR).await;
        assert!(!outer.is_cancelled() && !asked.token().is_cancelled());
        outer.cancel();
        assert!(asked.join_next().await.unwrap().is_ok());
    });
}

#[test]
fn a_thousand_tasks_end_while_another_task_waits_for_the_shutdown() {
    run(async {
        let mut group = TaskGroup::new();
        let token = group.token().clone();
        for _ in 0..1_000 {
            let token = token.clone();
            group.spawn(async move { token.cancelled().await });
        }
        let shutdown = spawn(async move { group.shutdown(HOUR).await });
        assert_eq!(counts(shutdown.await), [1_000, 0, 0]);
    });
}
