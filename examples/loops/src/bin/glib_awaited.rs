//! GLib's main context in a task, without a thread or a loop of GLib's.
//!
//! It costs a dozen system calls an iteration. Where most of the work is GLib's, run GLib's loop,
//! as `glib_source` does.
//!
//! `cargo run -p selkie-loops --features glib --bin glib_awaited` prints how often sources of GLib
//! were called, and how often the context was looked at. Debian: libglib2.0-dev.

use std::cell::Cell;
use std::error::Error;
use std::ffi::c_int;
use std::future::Future;
use std::io;
use std::os::fd::BorrowedFd;
use std::pin::pin;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use glib::ffi::{
    G_IO_IN, G_IO_OUT, G_IO_PRI, GPollFD, g_main_context_check, g_main_context_query, g_poll,
};
use glib::translate::ToGlibPtr;
use glib::{ControlFlow, MainContext};
use selkie::{Async, EpollSelector, Interest, Timer, sleep, spawn, yield_now};

// ----
/// What the context would wait for, and how long: at most so many milliseconds, -1 is for ever.
fn query(context: &MainContext, priority: c_int) -> (Vec<GPollFD>, c_int) {
    let (mut fds, mut timeout) = (Vec::new(), -1);
    loop {
        let room = fds.len() as c_int;
        // SAFETY: `fds` has `room` elements to be written, and `timeout` is one.
        let count = unsafe {
            let context = context.to_glib_none().0;
            g_main_context_query(context, priority, &mut timeout, fds.as_mut_ptr(), room)
        };
        let is_complete = count <= room;
        fds.resize(count as usize, GPollFD { fd: -1, events: 0, revents: 0 });
        if is_complete {
            return (fds, timeout);
        }
    }
}

/// Waits until one of them may be ready, or the time is over.
async fn ready(fds: &[GPollFD], timeout: c_int) -> io::Result<()> {
    if timeout == 0 {
        yield_now().await; // The other tasks have their turn all the same.
        return Ok(());
    }
    let mut selector = EpollSelector::new()?;
    for GPollFD { fd, events, .. } in fds {
        // SAFETY: a source of the context has it open, and nothing of it has run meanwhile. A
        // duplicate, since a task may remove that source while this one waits.
        let fd = unsafe { BorrowedFd::borrow_raw(*fd) }.try_clone_to_owned()?;
        let wanted = [
            (G_IO_IN, Interest::READ),
            (G_IO_OUT, Interest::WRITE),
            (G_IO_PRI, Interest::PRIORITY),
        ];
        let wanted = wanted.into_iter().filter(|(event, _)| u32::from(*events) & event != 0);
        selector.register(fd, wanted.map(|(_, interest)| interest).collect(), ())?;
    }
    let selector = Async::new(selector)?;
    let time =
        u64::try_from(timeout).map(Duration::from_millis).map_or(Timer::never(), Timer::after);
    match select(pin!(selector.readable()), time).await {
        Either::Left((ready, _)) => ready,
        Either::Right(_) => Ok(()),
    }
}

/// Dispatches the sources of `context` until `done`. Returns how often it looked at them.
///
/// A task that adds a source to the context calls `context.wakeup()` then; what GLib's callbacks
/// and other threads add is seen without.
async fn iterate(
    context: &MainContext,
    done: impl Future<Output = ()>,
) -> Result<usize, Box<dyn Error>> {
    let mut done = pin!(done);
    let _owner = context.acquire()?;
    for iterations in 0.. {
        let (_is_ready, priority) = context.prepare();
        let (mut fds, timeout) = query(context, priority);
        match select(pin!(ready(&fds, timeout)), &mut done).await {
            Either::Left((ready, _)) => ready?,
            Either::Right(_) => return Ok(iterations),
        }
        // SAFETY: `fds` has so many elements.
        unsafe { g_poll(fds.as_mut_ptr(), fds.len() as _, 0) };
        // SAFETY: the same; and the context is owned, prepared and queried.
        let is_due = unsafe {
            let context = context.to_glib_none().0;
            g_main_context_check(context, priority, fds.as_mut_ptr(), fds.len() as c_int)
        };
        if is_due != 0 {
            context.dispatch();
        }
    }
    unreachable!("it is not looked at so often")
}
// ----

fn main() -> Result<(), Box<dyn Error>> {
    let context = MainContext::default();
    let (ticks, (ticked, has_ticked)) = (Rc::new(Cell::new(0)), oneshot::channel());
    let (counted, mut ticked) = (ticks.clone(), Some(ticked));
    glib::timeout_add_local(Duration::from_millis(2), move || {
        counted.set(counted.get() + 1);
        match ticked.take_if(|_| counted.get() == 10) {
            Some(ticked) => {
                ticked.send(()).expect("it is waited for");
                ControlFlow::Break
            }
            None => ControlFlow::Continue,
        }
    });
    let (invoked, was_invoked) = oneshot::channel();
    let (added, was_added) = oneshot::channel();
    let other = context.clone();
    let invoking = thread::spawn(move || other.invoke(|| invoked.send(()).expect("waited for")));

    let iterations = selkie::block_on(async {
        let beside = spawn(async {
            sleep(Duration::from_millis(5)).await;
            let context = MainContext::default();
            glib::idle_add_local_once(|| added.send(()).expect("it is waited for"));
            context.wakeup();
        });
        iterate(&context, async {
            has_ticked.await.expect("GLib's timer ticks");
            was_invoked.await.expect("another thread has invoked it");
            was_added.await.expect("a task has added it");
            beside.await;
        })
        .await?;
        iterate(&context, sleep(Duration::from_secs(1))).await
    })?;
    invoking.join().expect("the thread ends well");
    println!("GLib's timer has ticked: {}", ticks.get());
    println!("iterations in an idle second: {iterations}");
    println!("threads: {}", std::fs::read_dir("/proc/self/task")?.count());
    Ok(())
}
