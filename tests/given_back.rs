//! What a burst, a task or a runtime has used is given back.

use std::future::{Future, pending, poll_fn};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::io::AsyncRead;
use selkie::selector::BackendKind;
use selkie::{Async, Builder, Runtime, sleep, spawn, yield_now};

#[path = "util/allocator.rs"]
mod allocator;
#[path = "util/child.rs"]
mod child;

use allocator::bytes;
use child::open_descriptors;

#[test]
fn wakers_and_remotes_of_a_runtime_that_is_gone_keep_no_descriptor_open() {
    if child::role().is_none() {
        let name = "wakers_and_remotes_of_a_runtime_that_is_gone_keep_no_descriptor_open";
        child::run(&mut child::command(name, "alone"));
        return;
    }
    for kind in BackendKind::ALL {
        let before = open_descriptors();
        let timer_fd = !matches!(kind, BackendKind::Poll | BackendKind::Select);
        let runtime = Builder::new().backend(*kind).timer_fd(timer_fd).build().unwrap();
        let its_waker = || poll_fn(|cx| Poll::Ready(cx.waker().clone()));
        let of_task = runtime.block_on(async { spawn(its_waker()).await });
        let of_root = runtime.block_on(its_waker());
        let remote = runtime.remote();
        let mut timer = pin!(sleep(Duration::from_secs(3_600)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(runtime.enter(|| timer.as_mut().poll(&mut cx)).is_pending());
        let source = runtime.enter(|| Async::new(UnixStream::pair().unwrap().0)).unwrap();
        drop(runtime);
        assert_eq!(open_descriptors(), before + 1, "{kind:?}: the source is the program's");
        drop(source);
        // And they are harmless.
        of_task.wake();
        of_root.wake();
        remote.notify();
        assert!(remote.spawn(|| async {}).is_err());
    }
}

#[test]
fn a_million_tasks_that_have_ended_keep_no_memory() {
    const TASKS: usize = 1_000_000;
    let runtime = Runtime::new().unwrap();
    let _waits = runtime.spawn(pending::<()>());
    runtime.block_on(yield_now());
    let before = bytes();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS).map(|_| spawn(yield_now())).collect();
        for task in tasks {
            task.await;
        }
        // The queues give back as they are used.
        for _ in 0..10 {
            spawn(yield_now()).await;
        }
    });
    let left = bytes() - before;
    assert!(left < 100_000, "{left} bytes are kept");
}

#[test]
fn a_hundred_thousand_reads_that_are_given_up_keep_no_memory() {
    struct Fresh;
    impl Wake for Fresh {
        fn wake(self: Arc<Self>) {}
    }
    let runtime = Runtime::new().unwrap();
    let (near, _far) = UnixStream::pair().unwrap();
    let near = runtime.enter(|| Async::new(near)).unwrap();
    let before = bytes();
    for _ in 0..100_000 {
        let waker = Waker::from(Arc::new(Fresh));
        let mut cx = Context::from_waker(&waker);
        assert!(Pin::new(&mut &near).poll_read(&mut cx, &mut [0; 8]).is_pending());
    }
    let left = bytes() - before;
    assert!(left < 100_000, "{left} bytes are kept");
}
