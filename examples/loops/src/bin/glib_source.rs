//! A runtime as a source of GLib's main loop, as in a program with GTK.
//!
//! `cargo run -p selkie-loops --features glib --bin glib_source` prints what the runtime did in that
//! loop. Debian: libglib2.0-dev.

use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use glib::{ControlFlow, IOCondition, MainLoop, SourceId};
use selkie::{Builder, Runtime};
use selkie_loops::Check;

// ----
/// Needs `Builder::timer_fd(true)`. Remove the source before the runtime is dropped.
fn watch(runtime: Rc<Runtime>) -> SourceId {
    let descriptor = runtime.as_raw_fd();
    glib_unix::unix_fd_add_local(descriptor, IOCondition::IN, move |_descriptor, _condition| {
        match runtime.turn(Some(Duration::ZERO)) {
            Ok(_turn) => ControlFlow::Continue,
            Err(error) => {
                eprintln!("the runtime cannot go on: {error}");
                ControlFlow::Break
            }
        }
    })
}
// ----

fn main() -> io::Result<()> {
    let (runtime, check) = Check::open(Builder::new().timer_fd(true))?;
    let main_loop = MainLoop::new(None, false);
    let source = watch(runtime.clone());
    let (ended, called) = (main_loop.clone(), check.clone());
    check.start(&runtime, move || ended.quit());
    let guest = runtime.clone();
    glib::timeout_add_local_once(Duration::from_millis(10), move || called.call(&guest));
    main_loop.run();
    source.remove();
    check.report();
    Ok(())
}
