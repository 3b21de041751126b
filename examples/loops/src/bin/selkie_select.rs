//! A runtime as one key of an explicit loop, beside a signal, timers and a channel.
//!
//! `cargo run -p selkie-loops --bin selkie_select` prints what a runtime did in that loop.

use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use selkie::selector::{Timers, channel};
use selkie::signal::{SIGUSR1, Signals};
use selkie::{Builder, DefaultSelector, Events, Interest};
use selkie_loops::Check;

/// Our own data on each key.
enum Role {
    Runtime,
    Signals,
    Channel,
}

fn main() -> io::Result<()> {
    let (runtime, check) = Check::open(Builder::new())?;
    let (signals, (sender, channel)) = (Rc::new(Signals::new([SIGUSR1])?), channel()?);
    let channel = Rc::new(channel);
    let mut timers = Timers::new();
    let mut came = Vec::new();

    // ----
    let mut selector = DefaultSelector::<Rc<dyn AsFd>, Role>::new()?;
    selector.register(runtime.clone(), Interest::READ, Role::Runtime)?;
    // ----
    selector.register(signals.clone(), Interest::READ, Role::Signals)?;
    selector.register(channel.clone(), Interest::READ, Role::Channel)?;
    timers.insert(selector.now() + Duration::from_millis(10), "a timer");
    let sending = thread::spawn(move || sender.send("a message"));
    kill_process(getpid(), Signal::USR1)?;
    check.start(&runtime, || {});

    let mut events = Events::new();
    while !check.is_over() {
        // ----
        let next = [timers.next_deadline(), runtime.next_deadline()].into_iter().flatten().min();
        let timeout = next.map(|at| at.saturating_duration_since(selector.now()));
        for (key, _readiness) in selector.select(&mut events, timeout)? {
            match selector[key].data {
                Role::Runtime => {} // All of the work is below.
                Role::Signals => came.extend(signals.pending().map(|signal| signal.to_string())),
                Role::Channel => {
                    came.extend(channel.try_iter().map(str::to_owned));
                    if channel.is_disconnected() {
                        selector.unregister(key)?;
                    }
                }
            }
        }
        let now = selector.now();
        while let Some(timer) = timers.pop_due(now) {
            came.push(timer.to_owned());
            check.call(&runtime);
        }
        runtime.turn(Some(Duration::ZERO))?;
        // ----
    }
    sending.join().expect("the thread ends well").expect("the channel is there");
    came.sort_unstable();
    assert_eq!(came, ["SIGUSR1", "a message", "a timer"]);
    check.report();
    Ok(())
}
