//! A runtime in a task of another one.
//!
//! `cargo run -p selkie-loops --bin selkie_nested` prints what the inner runtime did.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use selkie::{Async, Builder, Runtime, sleep, spawn};
use selkie_loops::Check;

// ----
/// Takes a turn of `inner` whenever that has something to do. Drop the task to end it.
async fn drive(inner: Rc<Runtime>) -> io::Result<()> {
    let watch = Async::new(Rc::clone(&inner))?;
    loop {
        watch.readable().await?;
        inner.turn(Some(Duration::ZERO))?;
    }
}
// ----

fn main() -> io::Result<()> {
    let outer = Builder::new().build()?;
    let (inner, check) = Check::open(Builder::new().timer_fd(true))?;
    let (sender, ended) = futures::channel::oneshot::channel();
    check.start(&inner, || sender.send(()).expect("it is waited for"));
    outer.block_on(async {
        let _driving = spawn(drive(inner.clone()));
        sleep(Duration::from_millis(10)).await;
        check.call(&inner); // A task of the outer runtime spawns one on the inner.
        ended.await.expect("the work is done");
    });
    check.report();
    Ok(())
}
