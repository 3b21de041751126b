//! A runtime in smol's loop. smol has a thread of its own beside it, which waits where nobody else
//! does.
//!
//! `cargo run -p selkie-loops --bin smol_loop` prints what the runtime did in that loop.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use selkie::{Builder, Runtime};
use selkie_loops::Check;
use smol::LocalExecutor;

// ----
/// Takes a turn whenever the runtime has something to do. Needs `Builder::timer_fd(true)`.
async fn drive(runtime: Rc<Runtime>) -> io::Result<()> {
    let watch = smol::Async::new_nonblocking(Rc::clone(&runtime))?;
    loop {
        watch.readable().await?;
        runtime.turn(Some(Duration::ZERO))?;
    }
}
// ----

fn main() -> io::Result<()> {
    let (runtime, check) = Check::open(Builder::new().timer_fd(true))?;
    let (sender, ended) = futures::channel::oneshot::channel();
    check.start(&runtime, || sender.send(()).expect("it is waited for"));
    // A runtime stays on its thread, so its task must be a local one.
    let executor = LocalExecutor::new();
    let _driving = executor.spawn(drive(runtime.clone()));
    smol::block_on(executor.run(async {
        smol::Timer::after(Duration::from_millis(10)).await;
        check.call(&runtime); // A task of smol spawns one of selkie.
        ended.await.expect("the work is done");
    }));
    check.report();
    Ok(())
}
