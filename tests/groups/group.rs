//! What a group tells of its tasks, and when it cancels them.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use selkie::task::{Spawner, TaskError};
use selkie::{TaskGroup, sleep, timeout, yield_now};

use crate::util::{OnDrop, Trace, Wakes, run, run_on, runtime, settle};

/// A future that ends by being dropped only, and tells so.
pub fn stuck<T>(trace: &Trace, told: &'static str) -> impl Future<Output = T> + use<T> {
    let trace = trace.clone();
    async move {
        let _guard = OnDrop(move || trace.add(told));
        pending().await
    }
}

#[test]
fn values_come_in_the_order_in_which_their_tasks_end() {
    run(async {
        let mut group = TaskGroup::new();
        for yields in [3, 1, 2] {
            group.spawn(async move {
                for _ in 0..yields {
                    yield_now().await;
                }
                yields
            });
        }
        assert_eq!(group.len(), 3);
        for expected in 1..=3 {
            assert_eq!(group.join_next().await.unwrap().unwrap(), expected);
        }
        assert!(group.is_empty());
        assert!(group.join_next().await.is_none());
        group.spawn(async { 4 });
        assert_eq!(group.join_next().await.unwrap().unwrap(), 4, "it can be used again");
    });
}

#[test]
fn a_group_is_a_stream_of_results() {
    let values: Vec<u32> = run(async {
        let group = TaskGroup::new();
        (0..5).for_each(|number| group.spawn(async move { number }));
        group.map(Result::unwrap).collect().await
    });
    assert_eq!(values, [0, 1, 2, 3, 4]);
}

#[test]
fn a_group_that_is_dropped_cancels_its_tasks() {
    let (runtime, trace) = (runtime(), Trace::default());
    run_on(&runtime, async {
        let group = TaskGroup::<()>::new();
        group.spawn(stuck(&trace, "polled before"));
        yield_now().await;
        group.spawn(stuck(&trace, "never polled"));
        drop(group);
        assert_eq!(trace.take(), [""; 0], "by the runtime, in its turn");
    });
    settle(&runtime);
    assert_eq!(trace.take(), ["polled before"], "a future that was never polled has no guard yet");
}

#[test]
fn cancelled_tasks_are_results_too_and_are_told_as_cancelled() {
    run(async {
        let (mut group, trace) = (TaskGroup::new(), Trace::default());
        group.spawn(stuck(&trace, "dropped"));
        group.spawn(async { 7 });
        yield_now().await;
        group.cancel_all();
        let mut results: Vec<Result<i32, TaskError>> = Vec::new();
        while let Some(result) = group.join_next().await {
            results.push(result);
        }
        assert_eq!(trace.take(), ["dropped"]);
        let [Ok(7), Err(cancelled)] = &results[..] else { panic!("{results:?}") };
        assert!(cancelled.is_cancelled() && !cancelled.is_panic());
        group.spawn(async { 8 });
        assert_eq!(group.join_next().await.unwrap().unwrap(), 8, "new ones may be spawned");
    });
}

#[test]
fn a_value_is_not_lost_when_its_task_is_cancelled_in_its_last_poll() {
    run(async {
        let group = Rc::new(RefCell::new(TaskGroup::new()));
        let own = Rc::clone(&group);
        group.borrow().spawn(async move {
            own.borrow().cancel_all();
            7
        });
        yield_now().await;
        yield_now().await;
        let result = group.borrow_mut().join_next().now_or_never();
        assert_eq!(result.unwrap().unwrap().unwrap(), 7);
    });
}

#[test]
fn a_wait_for_the_next_result_that_is_given_up_loses_none() {
    run(async {
        let mut group = TaskGroup::new();
        group.spawn(async {
            sleep(Duration::from_millis(5)).await;
            7
        });
        while timeout(Duration::ZERO, group.join_next()).await.is_err() {
            yield_now().await;
            if group.is_empty() {
                break;
            }
        }
        assert_eq!(group.join_next().await.unwrap().unwrap(), 7);
    });
}

#[test]
fn the_task_that_polled_last_is_woken_by_the_next_end() {
    let runtime = runtime();
    let mut group = TaskGroup::new();
    runtime.enter(|| group.spawn(async {}));
    let ((first, first_waker), (second, second_waker)) = (Wakes::new(), Wakes::new());
    for waker in [first_waker, second_waker] {
        let mut next = pin!(group.join_next());
        assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    settle(&runtime);
    assert_eq!((first.count(), second.count()), (0, 1));
}

/// Spawns two tasks more, and each of them two, until `left` is used up.
fn grow(spawner: Spawner<()>, left: Rc<Cell<u32>>) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        for _ in 0..2 {
            if let Some(fewer) = left.get().checked_sub(1) {
                left.set(fewer);
                spawner.spawn(grow(spawner.clone(), Rc::clone(&left)));
            }
        }
    })
}

#[test]
fn tasks_spawn_others_in_their_own_group() {
    run(async {
        let mut group = TaskGroup::new();
        group.spawn(grow(group.spawner(), Rc::new(Cell::new(99))));
        let mut count = 0;
        while let Some(result) = group.join_next().await {
            result.unwrap();
            count += 1;
        }
        assert_eq!(count, 100);
    });
}

#[test]
fn a_spawner_does_not_keep_its_group_and_drops_what_comes_too_late() {
    let (runtime, trace) = (runtime(), Trace::default());
    let group = TaskGroup::<()>::new();
    let spawner = group.spawner();
    let kept = spawner.clone();
    runtime.enter(|| {
        group.spawn(async move {
            pending::<()>().await;
            drop(kept)
        })
    });
    drop(group);
    let guard = OnDrop({
        let trace = trace.clone();
        move || trace.add("dropped")
    });
    spawner.spawn(async move { drop(guard) });
    assert_eq!(trace.take(), ["dropped"]);
    assert_eq!(format!("{spawner:?}"), "Spawner { is_gone: true, .. }");
    settle(&runtime);
}

/// A value whose destructor uses the group that it was a result of.
struct Nosy(Spawner<Option<Nosy>>, Trace);

impl Drop for Nosy {
    fn drop(&mut self) {
        self.0.spawn(async { None });
        self.1.add("dropped");
    }
}

#[test]
fn values_that_nobody_asked_for_are_dropped_with_the_group_and_may_use_it() {
    let (runtime, trace) = (runtime(), Trace::default());
    let group = TaskGroup::new();
    for _ in 0..2 {
        let nosy = Nosy(group.spawner(), trace.clone());
        runtime.enter(|| group.spawn(async { Some(nosy) }));
    }
    settle(&runtime);
    assert_eq!(trace.take(), [""; 0]);
    runtime.enter(|| drop(group));
    assert_eq!(trace.take(), ["dropped", "dropped"]);
    settle(&runtime);
}

#[test]
fn tasks_of_a_runtime_that_is_dropped_are_told_as_cancelled() {
    let runtime = runtime();
    let mut group = TaskGroup::<()>::new();
    runtime.enter(|| (0..3).for_each(|_| group.spawn(pending())));
    settle(&runtime);
    drop(runtime);
    let results: Vec<_> =
        std::iter::from_fn(|| group.join_next().now_or_never().unwrap()).collect();
    assert_eq!(results.len(), 3);
    assert!(results.iter().all(|result| result.as_ref().is_err_and(TaskError::is_cancelled)));
}

#[test]
fn a_group_has_no_place_for_a_task_that_could_not_be_spawned() {
    let group = TaskGroup::<()>::new();
    let outside = std::panic::AssertUnwindSafe(|| group.spawn(async {}));
    std::panic::catch_unwind(outside).expect_err("there is no runtime");
    assert_eq!(group.len(), 0);
}
