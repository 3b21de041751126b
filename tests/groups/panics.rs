//! Panics in a group: they reach who waits for it, after the others, and are nothing else than
//! panics.

use std::future::pending;
use std::panic::{AssertUnwindSafe, panic_any, resume_unwind};
use std::time::Duration;

use futures::FutureExt;
use selkie::task::OnPanic;
use selkie::{Builder, Cancel, TaskGroup, UnobservedPanic, spawn, yield_now};

use crate::group::stuck;
use crate::util::{OnDrop, Trace, build, panic_text, run, run_on, runtime, settle};

fn group<T: 'static>(on_panic: OnPanic) -> TaskGroup<T> {
    TaskGroup::with(Cancel::new(), on_panic)
}

async fn panics<T>(text: &'static str) -> T {
    // Without the hook: nothing of it is printed.
    resume_unwind(Box::new(text))
}

/// The text of the panic that `wait` goes on with.
async fn panic_of<T>(wait: impl Future<Output = T>) -> String {
    let caught = AssertUnwindSafe(wait).catch_unwind().await;
    crate::util::text_of(&*caught.map(drop).expect_err("it should have panicked"))
}

#[test]
fn after_a_panic_the_others_run_to_their_ends_and_then_it_goes_on() {
    run(async {
        let mut group = TaskGroup::new();
        group.spawn(panics("the test's panic"));
        for number in 0..3 {
            group.spawn(async move {
                yield_now().await;
                number
            });
        }
        for number in 0..3 {
            assert_eq!(group.join_next().await.unwrap().unwrap(), number);
        }
        assert_eq!(panic_of(group.join_next()).await, "the test's panic");
        assert!(group.join_next().await.is_none(), "it goes on once");
    });
}

#[test]
fn the_panic_goes_on_as_it_was() {
    run(async {
        let mut group = TaskGroup::<()>::new();
        group.spawn(async { panic_any(42_u8) });
        let payload = AssertUnwindSafe(group.join_next()).catch_unwind().await.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&42_u8));
    });
}

#[test]
fn after_a_panic_the_others_are_cancelled_if_so_chosen_though_nobody_waits() {
    run(async {
        let (mut group, trace) = (group::<()>(OnPanic::Cancel), Trace::default());
        group.spawn(stuck(&trace, "cancelled"));
        yield_now().await;
        group.spawn(panics("the test's panic"));
        yield_now().await;
        yield_now().await;
        assert_eq!(trace.take(), ["cancelled"]);
        assert!(group.is_closed() && group.token().is_cancelled());
        group.spawn(stuck(&trace, "too late"));
        for _ in 0..2 {
            assert!(group.join_next().await.unwrap().unwrap_err().is_cancelled());
        }
        assert_eq!(panic_of(group.join_next()).await, "the test's panic");
    });
}

#[test]
fn a_cancelled_task_is_not_taken_for_a_panicked_one_nor_the_other_way_round() {
    run(async {
        let mut group = group::<()>(OnPanic::Return);
        group.spawn(pending());
        group.spawn(panics("the test's panic"));
        yield_now().await;
        group.cancel_all();
        yield_now().await;
        let panicked = group.join_next().await.unwrap().unwrap_err();
        assert!(panicked.is_panic() && !panicked.is_cancelled());
        assert_eq!(crate::util::text_of(&*panicked.into_panic()), "the test's panic");
        let cancelled = group.join_next().await.unwrap().unwrap_err();
        assert!(cancelled.is_cancelled() && !cancelled.is_panic());
        assert!(group.join_next().await.is_none());
    });
}

#[test]
fn a_task_that_panics_as_it_is_cancelled_is_told_as_cancelled() {
    let runtime = build(Builder::new().unobserved_panic(UnobservedPanic::Resume));
    let mut group = TaskGroup::<()>::new();
    runtime.enter(|| {
        group.spawn(async {
            let _guard = OnDrop(|| resume_unwind(Box::new("a destructor's panic")));
            pending().await
        });
    });
    settle(&runtime);
    group.cancel_all();
    assert_eq!(panic_text(|| settle(&runtime)), "a destructor's panic", "nobody awaits it");
    run_on(&runtime, async {
        assert!(group.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert!(group.join_next().await.is_none());
    });
}

#[test]
fn a_future_that_panics_in_its_destructor_after_its_end_has_no_value() {
    struct EndsBadly;
    impl Future for EndsBadly {
        type Output = i32;
        fn poll(
            self: std::pin::Pin<&mut Self>,
            _cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<i32> {
            std::task::Poll::Ready(7)
        }
    }
    impl Drop for EndsBadly {
        fn drop(&mut self) {
            resume_unwind(Box::new("a destructor's panic"));
        }
    }
    run(async {
        let mut group = TaskGroup::new();
        group.spawn(EndsBadly);
        assert_eq!(panic_of(group.join_next()).await, "a destructor's panic");
    });
}

#[test]
fn a_group_that_is_dropped_with_a_panic_does_not_swallow_it() {
    let runtime = build(Builder::new().unobserved_panic(UnobservedPanic::Resume));
    for on_panic in [OnPanic::Drain, OnPanic::Cancel, OnPanic::Return] {
        let group = group::<()>(on_panic);
        runtime.enter(|| group.spawn(panics("the test's panic")));
        settle(&runtime);
        drop(group);
        assert_eq!(panic_text(|| settle(&runtime)), "the test's panic", "{on_panic:?}");
    }
}

#[test]
fn a_second_panic_is_one_that_nobody_awaits() {
    let runtime = build(Builder::new().unobserved_panic(UnobservedPanic::Resume));
    let mut group = TaskGroup::<()>::new();
    runtime.enter(|| ["first", "second"].map(|text| group.spawn(panics(text))));
    assert_eq!(panic_text(|| settle(&runtime)), "second");
    assert_eq!(panic_text(|| run_on(&runtime, group.join_next())), "first");
}

#[test]
fn every_panic_is_returned_if_so_chosen_and_the_group_goes_on() {
    run(async {
        let mut group = group(OnPanic::Return);
        group.spawn(panics("first"));
        group.spawn(panics("second"));
        group.spawn(async { 7 });
        for text in ["first", "second"] {
            let error = group.join_next().await.unwrap().unwrap_err();
            assert_eq!(crate::util::text_of(&*error.into_panic()), text);
        }
        assert_eq!(group.join_next().await.unwrap().unwrap(), 7);
        let ended = group.shutdown(Duration::ZERO).await;
        assert_eq!((ended.finished, ended.cancelled, ended.panicked), (0, 0, 0));
    });
}

#[test]
fn a_group_that_its_owner_drops_while_it_drains_after_a_panic_ends_at_once() {
    let (runtime, trace) = (runtime(), Trace::default());
    run_on(&runtime, async {
        let inner = trace.clone();
        let owner = spawn(async move {
            let mut group = TaskGroup::<()>::new();
            group.spawn(stuck(&inner, "dropped"));
            group.spawn(panics("the test's panic"));
            group.join_next().await;
        });
        yield_now().await;
        yield_now().await;
        assert!(!owner.is_finished());
        assert_eq!(owner.cancel().await, None, "the cancel of the owner, not the panic");
    });
    settle(&runtime);
    assert_eq!(trace.take(), ["dropped"]);
}
