//! A task that blocks its thread: what is seen of that from inside, and from another thread.
//!
//! `cargo run -p selkie-apps --example inside_blocks`; the guide's page on it has what is printed. With
//! a path as argument it saves the recording there.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use selkie::inspect::What;
use selkie::{Builder, interval, sleep};

const LIMIT: Duration = Duration::from_millis(50);

async fn heartbeat() {
    let mut ticks = interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
    }
}

async fn report(blocks: mpsc::Sender<()>) {
    sleep(Duration::from_millis(110)).await;
    blocks.send(()).expect("the other thread waits");
    thread::sleep(Duration::from_millis(300)); // As a driver of a database may do.
    sleep(Duration::from_millis(30)).await;
}

fn main() -> io::Result<()> {
    let told = |slow: &_| println!("hook: {slow}");
    let runtime = Builder::new().slow_poll(LIMIT, told).build()?;
    let (remote, (blocks, is_blocked)) = (runtime.remote(), mpsc::channel());
    let asks = thread::spawn(move || {
        is_blocked.recv().expect("the task says so");
        println!("table: {}", remote.tasks(LIMIT).expect_err("the loop is blocked"));
        let running = remote.running().expect("the task is being polled");
        println!("watchdog: {} of {} runs", running.id, running.spawned_at);
    });
    runtime.spawn_named("heartbeat", heartbeat()).detach();
    let reports = runtime.spawn_named("report", report(blocks));
    runtime.block_on(reports);
    asks.join().expect("it does not panic");

    println!("\nrecording:");
    let entries: Vec<_> = runtime.recording().entries().collect();
    let blocked = entries
        .iter()
        .position(|entry| matches!(entry.what, What::Poll { took, .. } if took >= LIMIT));
    let told = |what| matches!(what, What::Poll { .. } | What::Timers { .. } | What::Wake { .. });
    let after = entries[blocked.expect("it was recorded")..].iter();
    for entry in after.filter(|entry| told(entry.what)).take(4) {
        println!("{entry}");
    }
    if let Some(path) = std::env::args().nth(1) {
        runtime.recording().save(path)?;
    }
    Ok(())
}
