//! Two tasks, each of which awaits the other one: what is seen of that from inside.
//!
//! `cargo run -p selkie-apps --example inside_dead_lock`; the guide's page on it has what is printed.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use selkie::inspect::What;
use selkie::{Builder, Task, sleep};

/// Where a task finds the one that it is to wait for.
type Place = Rc<RefCell<Option<Task<()>>>>;

async fn work_after(other: Place) {
    let other = other.take().expect("the other one is there");
    other.await;
}

fn main() -> io::Result<()> {
    let told = |slow: &_| println!("hook: {slow}");
    let runtime = Builder::new().slow_poll(Duration::from_secs(1), told).build()?;
    let (before_one, before_two) = (Place::default(), Place::default());
    let one = runtime.spawn_named("one", work_after(before_one.clone()));
    let two = runtime.spawn_named("two", work_after(before_two.clone()));
    *before_one.borrow_mut() = Some(two);
    *before_two.borrow_mut() = Some(one);
    runtime.spawn_named("bystander", sleep(Duration::from_secs(60))).detach();

    // It hangs: for a while, no turn has anything to do.
    while !runtime.turn(Some(Duration::from_millis(10)))?.is_idle() {}

    print!("{}", runtime.tasks());

    println!("\nrecording:");
    for entry in runtime.recording().entries() {
        if !matches!(entry.what, What::Turn { .. }) {
            println!("{entry}");
        }
    }
    Ok(())
}
