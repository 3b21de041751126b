//! A waker is user code: to wake or to drop one may do anything. So the runtime lets go of all it
//! has borrowed before; here, every waker that it drops or wakes uses it in return.

use std::cell::Cell;
use std::future::Future;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use selkie::{Async, Runtime, Task, Timer, spawn};

use crate::liar;
use crate::util::{DEADLINE, Wakes, runtime, settle, text_of};

thread_local! {
    /// How often [`use_everything`] has run on this thread.
    static USES: Cell<usize> = const { Cell::new(0) };
}

/// Uses all parts of the current runtime that keep lists: tasks, timers, sources, waiters.
fn use_everything() {
    USES.set(USES.get() + 1);
    spawn(async {}).detach();
    drop(spawn(std::future::pending::<()>()));
    let cx = &mut Context::from_waker(Waker::noop());
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let mut timer = Timer::after(DEADLINE);
        assert!(Pin::new(&mut timer).poll(cx).is_pending());
        timer.set_after(DEADLINE);
    }));
    if let Err(payload) = polled {
        let text = text_of(&*payload);
        assert!(text.contains("the runtime of this source is gone"), "{text}");
    }
    if cfg!(miri) {
        return;
    }
    let (near, far) = UnixStream::pair().unwrap();
    if let (Ok(near), Ok(far)) = (Async::new(near), Async::new(far)) {
        assert!(near.poll_readable(cx).is_pending());
        assert!(pin!(far.readable()).poll(cx).is_pending());
        assert!(far.poll_writable(cx).is_ready());
    }
}

/// Uses everything when it is woken, and when it is dropped.
struct Demanding;

impl Wake for Demanding {
    fn wake(self: Arc<Self>) {
        use_everything();
    }
}

impl Drop for Demanding {
    fn drop(&mut self) {
        use_everything();
    }
}

fn demanding() -> Waker {
    Arc::new(Demanding).into()
}

/// How often everything was used by `f`.
fn uses(f: impl FnOnce()) -> usize {
    let before = USES.get();
    f();
    USES.get() - before
}

/// Polls `future`, which is not ready, with a waker of its own.
fn wait_with(waker: Waker, future: Pin<&mut impl Future>) {
    assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
}

/// A source of `runtime` that is not readable, and its peer.
fn source(runtime: &Runtime) -> (Async<UnixStream>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    (runtime.enter(|| Async::new(near)).unwrap(), far)
}

fn never(runtime: &Runtime) -> Task<()> {
    runtime.spawn(std::future::pending())
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_source_may_drop_a_demanding_waker_that_is_replaced() {
    let runtime = runtime();
    let (source, _peer) = source(&runtime);
    runtime.enter(|| {
        let mut readable = pin!(source.readable());
        wait_with(demanding(), readable.as_mut());
        assert_eq!(uses(|| wait_with(Waker::noop().clone(), readable.as_mut())), 1);
    });
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_source_may_drop_a_demanding_waker_whose_future_gives_up() {
    let runtime = runtime();
    let (source, _peer) = source(&runtime);
    runtime.enter(|| {
        let mut readable = Box::pin(source.readable());
        wait_with(demanding(), readable.as_mut());
        assert_eq!(uses(|| drop(readable)), 1);
    });
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_source_may_wake_and_drop_demanding_wakers() {
    let _prompt = liar::only_hidden_lies("an event comes in one turn");
    let runtime = runtime();
    let (source, mut peer) = source(&runtime);
    runtime.enter(|| {
        let mut readable = Box::pin(source.readable());
        wait_with(demanding(), readable.as_mut());
        assert!(source.poll_readable(&mut Context::from_waker(&demanding())).is_pending());
        assert_eq!(
            uses(|| {
                settle(&runtime);
                peer.write_all(b"x").unwrap();
                settle(&runtime);
            }),
            4,
        );
    });
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_source_that_is_dropped_may_wake_and_drop_its_demanding_waiters() {
    let runtime = runtime();
    let (source, _peer) = source(&runtime);
    runtime.enter(|| {
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(source.poll_readable(cx).is_pending());
        assert!(source.poll_readable(&mut Context::from_waker(&demanding())).is_pending());
        assert_eq!(uses(|| drop(source)), 2);
    });
}

#[test]
#[cfg_attr(miri, ignore = "needs a socket")]
fn a_runtime_that_is_dropped_may_wake_and_drop_demanding_waiters_of_sources_that_stay() {
    let runtime = runtime();
    let sources = [(); 3].map(|()| source(&runtime));
    for (source, _peer) in &sources {
        assert!(source.poll_readable(&mut Context::from_waker(&demanding())).is_pending());
    }
    assert_eq!(uses(|| drop(runtime)), 6);
}

#[test]
fn a_timer_may_drop_a_demanding_waker_that_is_replaced() {
    let runtime = runtime();
    runtime.enter(|| {
        let mut timer = Timer::after(DEADLINE);
        wait_with(demanding(), Pin::new(&mut timer));
        assert_eq!(uses(|| wait_with(Waker::noop().clone(), Pin::new(&mut timer))), 1);
    });
}

#[test]
fn a_timer_that_is_dropped_may_drop_its_demanding_waker_and_one_that_is_set_keeps_it() {
    let runtime = runtime();
    runtime.enter(|| {
        let mut timer = Timer::after(DEADLINE);
        wait_with(demanding(), Pin::new(&mut timer));
        assert_eq!(uses(|| timer.set_after(DEADLINE)), 0, "its waker waits on");
        assert_eq!(uses(|| timer.set_never()), 0, "its waker waits on");
        assert_eq!(uses(|| drop(timer)), 1);
    });
}

#[test]
fn timers_that_fire_may_wake_and_drop_demanding_wakers() {
    let runtime = runtime();
    let mut timers = [(); 3].map(|()| Timer::after(Duration::from_nanos(1)));
    runtime.enter(|| {
        for timer in &mut timers {
            wait_with(demanding(), Pin::new(timer));
        }
    });
    assert_eq!(uses(|| settle(&runtime)), 6);
}

#[test]
fn a_runtime_that_is_dropped_may_wake_and_drop_the_demanding_wakers_of_timers_that_stay() {
    let runtime = runtime();
    let mut timers = [(); 3].map(|()| Timer::after(DEADLINE));
    runtime.enter(|| {
        for timer in &mut timers {
            wait_with(demanding(), Pin::new(timer));
        }
    });
    assert_eq!(uses(|| drop(runtime)), 6);
}

#[test]
fn a_task_may_drop_a_demanding_waker_of_its_awaiter_that_is_replaced() {
    let runtime = runtime();
    let mut task = never(&runtime);
    runtime.enter(|| {
        wait_with(demanding(), Pin::new(&mut task));
        assert_eq!(uses(|| wait_with(Waker::noop().clone(), Pin::new(&mut task))), 1);
    });
}

#[test]
fn a_task_that_ends_may_wake_and_drop_the_demanding_waker_of_its_awaiter() {
    let runtime = runtime();
    let mut task = runtime.spawn(async {});
    wait_with(demanding(), Pin::new(&mut task));
    assert_eq!(uses(|| settle(&runtime)), 2);
}

#[test]
fn a_task_that_is_dropped_with_its_runtime_may_wake_the_demanding_waker_of_its_awaiter() {
    let runtime = runtime();
    let mut tasks = [never(&runtime), never(&runtime)];
    settle(&runtime);
    for task in &mut tasks {
        wait_with(demanding(), Pin::new(task));
    }
    assert_eq!(uses(|| drop(runtime)), 4);
}

#[test]
fn a_waker_that_is_dropped_on_another_thread_does_not_disturb_its_owner() {
    let runtime = runtime();
    let (wakes, waker) = Wakes::new();
    let mut timer = Timer::after(Duration::from_millis(1));
    runtime.enter(|| wait_with(waker.clone(), Pin::new(&mut timer)));
    std::thread::spawn(move || drop(waker)).join().unwrap();
    drop(runtime);
    assert_eq!(wakes.count(), 1, "the timer can never fire: to wait on would be for ever");
    assert_eq!(Arc::strong_count(&wakes), 1, "the runtime keeps no waker");
}
