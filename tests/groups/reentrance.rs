//! Groups that are used, or dropped, from within their own tasks and values.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use selkie::task::OnPanic;
use selkie::{Cancel, TaskGroup, spawn, timeout, yield_now};

use crate::allocator::bytes;
use crate::group::stuck;
use crate::util::{OnDrop, Trace, panic_text, run, runtime, settle};

#[test]
fn a_group_that_is_dropped_by_a_task_of_its_own_cancels_that_one_too() {
    let (runtime, trace) = (runtime(), Trace::default());
    runtime.enter(|| {
        let owner = Rc::new(RefCell::new(None));
        let group = TaskGroup::<()>::new();
        group.spawn(stuck(&trace, "the other one"));
        let (taken, told) = (Rc::clone(&owner), trace.clone());
        group.spawn(async move {
            let _guard = OnDrop(move || told.add("itself"));
            yield_now().await;
            drop(taken.take());
            pending::<()>().await;
        });
        *owner.borrow_mut() = Some(group);
    });
    settle(&runtime);
    let mut told = trace.take();
    told.sort_unstable();
    assert_eq!(told, ["itself", "the other one"]);
}

#[test]
fn a_task_that_shuts_its_own_group_down_is_cancelled_with_it() {
    run(async {
        let (trace, own) = (Trace::default(), Rc::new(Cell::new(None)));
        let (group, token) = (TaskGroup::<()>::new(), Cancel::new());
        let (taken, told, ended) = (Rc::clone(&own), trace.clone(), token.clone());
        group.spawn(async move {
            let _guard = OnDrop(move || {
                told.add("itself");
                ended.cancel();
            });
            let mut group: TaskGroup<()> = taken.take().unwrap();
            group.shutdown(Duration::from_millis(1)).await;
        });
        own.set(Some(group));
        token.cancelled().await;
        assert_eq!(trace.take(), ["itself"]);
    });
}

#[test]
fn a_group_in_a_group_in_a_group_ends_without_recursion() {
    /// A task of a group, which owns the next one.
    fn nest(depth: usize) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let inner = TaskGroup::<()>::new();
            if depth > 0 {
                inner.spawn(nest(depth - 1));
            }
            pending().await
        })
    }
    for by_the_runtime in [false, true] {
        let runtime = runtime();
        let group = TaskGroup::<()>::new();
        runtime.enter(|| group.spawn(nest(20_000)));
        settle_long(&runtime);
        if !by_the_runtime {
            drop(group);
            settle_long(&runtime);
        }
        drop(runtime);
    }
}

/// As [`settle`], for what takes many turns.
fn settle_long(runtime: &selkie::Runtime) {
    while !runtime.turn(Some(Duration::ZERO)).expect("the driver works").is_idle() {}
}

#[test]
fn values_that_panic_as_their_group_is_dropped_do_not_end_the_process() {
    struct Bomb(&'static str);
    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new(self.0));
        }
    }
    let runtime = runtime();
    let group = TaskGroup::new();
    runtime.enter(|| ["first", "second", "third"].map(|name| group.spawn(async { Bomb(name) })));
    settle(&runtime);
    assert_eq!(panic_text(|| drop(group)), "first");
}

#[test]
fn destructors_that_panic_as_a_group_is_shut_down_hold_up_neither_it_nor_the_others() {
    run(async {
        for on_panic in [OnPanic::Drain, OnPanic::Cancel, OnPanic::Return] {
            let (mut group, trace) =
                (TaskGroup::<()>::with(Cancel::new(), on_panic), Trace::default());
            for _ in 0..3 {
                group.spawn(async {
                    let _guard = OnDrop(|| resume_unwind(Box::new("a destructor's panic")));
                    pending().await
                });
                group.spawn(stuck(&trace, "dropped"));
            }
            yield_now().await;
            let ended = group.shutdown(Duration::ZERO).await;
            assert_eq!((ended.finished, ended.cancelled, ended.panicked), (0, 6, 0));
            assert_eq!(trace.take().len(), 3);
        }
    });
}

#[test]
fn a_crowd_of_tasks_that_was_there_at_once_leaves_no_memory_in_its_group() {
    const TASKS: usize = 200_000;
    let runtime = runtime();
    let mut group = TaskGroup::<()>::new();
    runtime.block_on(async {
        group.spawn(async {});
        group.join_next().await;
        let before = bytes();
        (0..TASKS).for_each(|_| {
            let token = group.token().clone();
            group.spawn(async move { token.child().cancelled().await });
        });
        yield_now().await;
        group.cancel_all();
        while group.join_next().await.is_some() {}
        for _ in 0..10 {
            spawn(yield_now()).await;
        }
        let left = bytes() - before;
        assert!(left < 100_000, "{left} bytes are kept");
        // And it goes on as before.
        group.spawn(async {});
        assert!(timeout(Duration::from_secs(5), group.join_next()).await.is_ok());
    });
}
