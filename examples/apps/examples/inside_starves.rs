//! A task that always has something to do, and never lets the others: what is seen of that.
//!
//! `cargo run -p selkie-apps --example inside_starves`; the guide's page on it has what is printed.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use selkie::inspect::What;
use selkie::{Builder, consume_budget, interval};

const MESSAGES: u32 = 20_000;

async fn heartbeat(beats: Rc<Cell<u32>>) {
    let mut ticks = interval(Duration::from_millis(1));
    loop {
        ticks.tick().await;
        beats.set(beats.get() + 1);
    }
}

/// Takes messages for as long as there are some; a channel of another crate knows no budget.
async fn consume(mut messages: mpsc::UnboundedReceiver<u32>, is_fair: bool) {
    while let Some(number) = messages.next().await {
        work();
        if is_fair {
            consume_budget().await;
        } else if number == MESSAGES - 1 {
            print!("{}", selkie::inspect::tasks());
        }
    }
}

/// Some microseconds of it.
fn work() {
    let sum = (0..1000_u32).fold(1, |sum: u32, n| sum.wrapping_mul(31).wrapping_add(n));
    std::hint::black_box(sum);
}

fn main() -> io::Result<()> {
    for is_fair in [false, true] {
        println!("\n{}:", if is_fair { "with consume_budget" } else { "without" });
        let told = |slow: &_| println!("hook: {slow}");
        let runtime = Builder::new().slow_poll(Duration::from_millis(20), told).build()?;
        let (beats, (sender, messages)) = (Rc::default(), mpsc::unbounded());
        (0..MESSAGES).for_each(|number| sender.unbounded_send(number).expect("it is open"));
        drop(sender);
        runtime.spawn_named("heartbeat", heartbeat(Rc::clone(&beats))).detach();
        runtime.block_on(runtime.spawn_named("firehose", consume(messages, is_fair)));

        println!("heart beats meanwhile: {}", if beats.get() > 2 { "many" } else { "at most 2" });
        let polls = runtime.recording().entries().filter_map(|entry| match entry.what {
            What::Poll { task, took } => Some((took, task)),
            _ => None,
        });
        let (took, task) = polls.max().expect("there were some");
        println!("recording: the longest poll was one of {task} and took {took:.0?}");
    }
    Ok(())
}
