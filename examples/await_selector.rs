//! A selector as a source of a task, which awaits it beside whatever else it awaits.
//!
//! `cargo run --example await_selector` prints `key 1 is ready: b'message 1'`, and so for 2 and 3,
//! raw keys whose peers write one after the other; then `all keys are done` and, on Linux,
//! `threads: 1`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use selkie::selector::BackendKind;
use selkie::{Async, DefaultSelector, Events, Interest, Selector, sleep};

/// The explicit loop of a library that knows no tasks, cut at its only blocking call.
async fn serve(mut selector: DefaultSelector<UnixStream, u32>) -> io::Result<()> {
    let Some(descriptor) = selector.descriptor() else {
        return Err(io::Error::other("the selector's back end has no descriptor to be awaited"));
    };
    // A duplicate, since the selector stays ours to change.
    let ready = Async::new(descriptor.try_clone_to_owned()?)?;
    let (mut events, mut buffer) = (Events::new(), [0; 64]);
    while !selector.is_empty() {
        ready.readable().await?;
        for (key, _readiness) in selector.select(&mut events, Some(Duration::ZERO))? {
            let registered = &selector[key];
            match (&registered.source).read(&mut buffer)? {
                0 => {
                    selector.unregister(key)?;
                }
                count => {
                    let bytes = buffer[..count].escape_ascii();
                    println!("key {} is ready: b'{bytes}'", registered.data);
                }
            }
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    // poll(2) and select(2) have no descriptor, so SELKIE_BACKEND is not asked.
    let mut selector = Selector::with_backend(BackendKind::DEFAULT.open()?);
    let mut peers = Vec::new();
    for number in 1..=3 {
        let (near, far) = UnixStream::pair()?;
        selector.register(near, Interest::READ, number)?;
        peers.push(far);
    }
    selkie::block_on(async {
        let served = selkie::spawn(serve(selector));
        for (mut peer, number) in peers.into_iter().zip(1..) {
            sleep(Duration::from_millis(50)).await;
            peer.write_all(format!("message {number}").as_bytes())?;
        } // Dropping the peer hangs up.
        served.await
    })?;
    println!("all keys are done");
    if let Ok(threads) = std::fs::read_dir("/proc/self/task") {
        println!("threads: {}", threads.count());
    }
    Ok(())
}
