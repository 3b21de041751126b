//! A runtime as one source of a selector, beside raw keys: both skins in one explicit loop.
//!
//! `cargo run --example embed_selector` prints `task: b'tick 1' came back`, and so for 2 and 3,
//! where the loop has echoed what a task of the runtime has sent; then `loop: the task has hung up`
//! and, on Linux, `threads: 1`.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, Builder, DefaultSelector, Events, Interest, sleep};

/// Our own data on each key.
enum Role {
    Runtime,
    Echo,
}

async fn tick(stream: UnixStream) -> io::Result<()> {
    let mut stream = Async::new(stream)?;
    let mut buffer = [0; 64];
    for number in 1..=3 {
        sleep(Duration::from_millis(50)).await;
        stream.write_all(format!("tick {number}").as_bytes()).await?;
        let count = stream.read(&mut buffer).await?;
        println!("task: b'{}' came back", buffer[..count].escape_ascii());
    }
    Ok(())
}

fn main() -> io::Result<()> {
    // With a timer descriptor, deadlines make it readable too: one key tells all that there is.
    let runtime = Builder::new().timer_fd(true).build()?;
    let (near, far) = UnixStream::pair()?;
    let task = runtime.spawn(tick(far));

    let mut selector = DefaultSelector::new()?;
    selector.register(runtime.as_fd(), Interest::READ, Role::Runtime)?;
    selector.register(near.as_fd(), Interest::READ, Role::Echo)?;
    let (mut events, mut buffer) = (Events::new(), [0; 64]);
    while selector.len() > 1 {
        for (key, _readiness) in selector.select(&mut events, None)? {
            match selector[key].data {
                Role::Runtime => {
                    runtime.turn(Some(Duration::ZERO))?;
                }
                Role::Echo => match (&near).read(&mut buffer)? {
                    0 => {
                        selector.unregister(key)?;
                    }
                    count => (&near).write_all(&buffer[..count])?,
                },
            }
        }
    }
    println!("loop: the task has hung up");
    if let Ok(threads) = std::fs::read_dir("/proc/self/task") {
        println!("threads: {}", threads.count());
    }
    runtime.block_on(task)
}
