//! A runtime as a source of a calloop loop.
//!
//! `cargo run -p selkie-loops --bin calloop_source` prints what the runtime did in that loop.

use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventLoop, Interest, LoopHandle, Mode, PostAction};
use selkie::{Builder, Runtime};
use selkie_loops::Check;

// ----
/// Needs `Builder::timer_fd(true)`: calloop does not ask for deadlines.
fn insert<'l, Data>(handle: &LoopHandle<'l, Data>, runtime: Rc<Runtime>) -> calloop::Result<()> {
    let source = Generic::new(runtime, Interest::READ, Mode::Level);
    handle.insert_source(source, |_readiness, runtime, _data| {
        runtime.turn(Some(Duration::ZERO))?;
        Ok(PostAction::Continue)
    })?;
    Ok(())
}
// ----

fn main() -> Result<(), Box<dyn Error>> {
    let (runtime, check) = Check::open(Builder::new().timer_fd(true))?;
    let mut event_loop = EventLoop::<()>::try_new()?;
    insert(&event_loop.handle(), runtime.clone())?;
    let (signal, called) = (event_loop.get_signal(), check.clone());
    check.start(&runtime, move || signal.stop());
    let timer = Timer::from_duration(Duration::from_millis(10));
    event_loop.handle().insert_source(timer, move |_deadline, (), ()| {
        called.call(&runtime);
        TimeoutAction::Drop
    })?;
    event_loop.run(None, &mut (), |()| {})?;
    check.report();
    Ok(())
}
