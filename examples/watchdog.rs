//! A thread that watches the loop: it says which task has run for too long, while it runs.
//!
//! `cargo run --example watchdog` prints where the task was spawned, once, after some 100 ms.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use selkie::{Builder, Remote};

const LIMIT: Duration = Duration::from_millis(100);

/// Says once of each poll that takes longer than [`LIMIT`] that it does. Ends with `alive`.
fn watch(loop_: &Remote, alive: &mpsc::Receiver<()>) {
    let mut told = None;
    while alive.recv_timeout(LIMIT / 4) == Err(mpsc::RecvTimeoutError::Timeout) {
        let running = loop_.running().filter(|task| task.since.elapsed() > LIMIT);
        if let Some(task) = running.filter(|task| told != Some(*task)) {
            println!("task {} of {} does not give the loop free", task.id, task.spawned_at);
            told = running;
        }
    }
}

fn main() -> std::io::Result<()> {
    let runtime = Builder::new().timing(true).build()?;
    let (remote, (_alive, ended)) = (runtime.remote(), mpsc::channel());
    thread::spawn(move || watch(&remote, &ended));

    // It should await `selkie::sleep`, or leave what blocks to `selkie::unblock`.
    let task = runtime.spawn(async { thread::sleep(5 * LIMIT) });
    runtime.block_on(task);
    Ok(())
}
