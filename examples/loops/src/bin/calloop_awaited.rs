//! A calloop loop in a task.
//!
//! Its descriptor tells of all its sources but timers: a `calloop::timer::Timer` is not in the
//! kernel, and calloop does not say when the next one is due. So the sources of such a loop take
//! the time from a descriptor, as the `Clock` here; or turn it round, as `calloop_source` does.
//!
//! `cargo run -p selkie-loops --bin calloop_awaited` prints how often a clock and a channel of the
//! loop have called.

use std::cell::Cell;
use std::error::Error;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

use calloop::generic::Generic;
use calloop::{EventLoop, Interest, Mode, PostAction, channel};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use selkie::{Async, sleep, spawn};

/// A source of a calloop loop that is ready every `period`.
fn clock(period: Duration) -> io::Result<Generic<OwnedFd>> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
    let period = Timespec::try_from(period).map_err(io::Error::other)?;
    let setting = Itimerspec { it_interval: period, it_value: period };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &setting)?;
    Ok(Generic::new(timer, Interest::READ, Mode::Level))
}

// ----
/// Dispatches `event_loop` whenever a source of it is ready, until `done`.
async fn dispatch<Data>(
    mut event_loop: EventLoop<'_, Data>,
    mut data: Data,
    done: impl Fn(&Data) -> bool,
) -> Result<Data, Box<dyn Error>> {
    // A duplicate, since the loop stays ours to dispatch.
    let ready = Async::new(event_loop.as_fd().try_clone_to_owned()?)?;
    while !done(&data) {
        ready.readable().await?;
        event_loop.dispatch(Some(Duration::ZERO), &mut data)?;
    }
    Ok(data)
}
// ----

/// How often each source has called, and the loop has been dispatched.
#[derive(Default)]
struct Calls {
    clock: usize,
    channel: usize,
    dispatched: Cell<usize>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let event_loop = EventLoop::<Calls>::try_new()?;
    let clock = clock(Duration::from_millis(2))?;
    event_loop.handle().insert_source(clock, |_readiness, timer, calls| {
        rustix::io::read(timer, &mut [0; 8])?;
        calls.clock += 1;
        Ok(PostAction::Continue)
    })?;
    let (sender, receiver) = channel::channel();
    event_loop.handle().insert_source(receiver, |event, (), calls| {
        if let channel::Event::Msg(()) = event {
            calls.channel += 1;
        }
    })?;
    let sending = thread::spawn(move || (0..10).try_for_each(|_| sender.send(())));
    let (calls, beside) = selkie::block_on(async {
        let beside = spawn(async {
            for _ in 0..5 {
                sleep(Duration::from_millis(2)).await;
            }
            5
        });
        let calls = dispatch(event_loop, Calls::default(), |calls| {
            calls.dispatched.set(calls.dispatched.get() + 1);
            calls.clock >= 10 && calls.channel >= 10
        });
        Ok::<_, Box<dyn Error>>((calls.await?, beside.await))
    })?;
    sending.join().expect("the thread ends well")?;
    println!("the clock has called: {}", calls.clock);
    println!("the channel has called: {}", calls.channel);
    println!("timers of a task beside it: {beside}");
    println!("dispatched: {}", calls.dispatched.get() - 1);
    println!("threads: {}", std::fs::read_dir("/proc/self/task")?.count());
    Ok(())
}
