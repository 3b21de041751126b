//! A runtime in a loop that is not its own: plain poll(2), which watches a socket of its own too.
//!
//! `cargo run --example embed_poll` prints what each side has to say: three times
//! `loop: got b'tick 1'` and `task: got b'tock'`, then `loop: the task has hung up` and, on Linux,
//! `threads: 1`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use selkie::{Async, Builder, interval};

/// A task as any other. It does not know whose loop it runs in.
async fn tick(stream: UnixStream) -> io::Result<()> {
    let mut stream = Async::new(stream)?;
    let mut ticks = interval(Duration::from_millis(50));
    let mut buffer = [0; 64];
    for number in 1..=3 {
        ticks.tick().await;
        stream.write_all(format!("tick {number}").as_bytes()).await?;
        let count = stream.read(&mut buffer).await?;
        println!("task: got b'{}'", buffer[..count].escape_ascii());
    }
    Ok(())
}

fn main() -> io::Result<()> {
    // poll(2) and select(2) have no descriptor, so SELKIE_BACKEND is not asked.
    let runtime = Builder::new().build()?;
    let (mut near, far) = UnixStream::pair()?;
    let task = runtime.spawn(tick(far));
    let mut buffer = [0; 64];
    loop {
        let mut fds = [PollFd::new(&runtime, PollFlags::IN), PollFd::new(&near, PollFlags::IN)];
        // Not at all, until a deadline, or for ever.
        let timeout = runtime.next_timeout().and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Err(Errno::INTR) => continue,
            result => result?,
        };
        let near_is_ready = !fds[1].revents().is_empty();
        runtime.turn(Some(Duration::ZERO))?;
        if near_is_ready {
            let count = near.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            println!("loop: got b'{}'", buffer[..count].escape_ascii());
            near.write_all(b"tock")?;
        }
    }
    println!("loop: the task has hung up");
    if let Ok(threads) = std::fs::read_dir("/proc/self/task") {
        println!("threads: {}", threads.count());
    }
    runtime.block_on(task)
}
