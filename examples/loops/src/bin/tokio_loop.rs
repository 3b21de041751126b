//! A runtime in tokio's current-thread loop; and redis, which needs tokio, in a task of it.
//!
//! `cargo run -p selkie-loops --bin tokio_loop -- [redis://127.0.0.1/]` prints what the runtime did
//! in that loop, and, if it is given a server, what that has kept.

use std::env;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use redis::AsyncCommands;
use selkie::{Builder, Runtime};
use selkie_loops::Check;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

// ----
/// Takes a turn whenever the runtime has something to do. Needs `Builder::timer_fd(true)`.
async fn drive(runtime: Rc<Runtime>) -> std::io::Result<()> {
    // SAFETY: the descriptor of a runtime is one and the same, and open as long as that lives.
    let watch =
        unsafe { AsyncFd::register_with_interest(Rc::clone(&runtime), Interest::READABLE) }?;
    loop {
        // By edge: ready until we say that it is not, which is when a turn has found nothing.
        let mut ready = watch.readable().await?;
        if runtime.turn(Some(Duration::ZERO))?.is_idle() {
            ready.clear_ready();
        }
    }
}
// ----

/// In a task of selkie's: a client that tokio reads, writes and keeps the time for.
async fn remember(url: String) -> redis::RedisResult<String> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let () = connection.set("seal", "selkie").await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    connection.get("seal").await
}

fn main() -> Result<(), Box<dyn Error>> {
    let (runtime, check) = Check::open(Builder::new().timer_fd(true))?;
    let (sender, ended) = futures::channel::oneshot::channel();
    check.start(&runtime, || sender.send(()).expect("it is waited for"));
    let remembering = env::args().nth(1).map(|url| runtime.spawn(remember(url)));
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        check.call(&runtime); // A task of tokio spawns one of selkie.
        if let Some(remembering) = remembering {
            println!("redis has kept: {}", remembering.await?);
        }
        ended.await.expect("the work is done");
        Ok::<_, redis::RedisError>(())
    };
    tokio.block_on(async {
        tokio::select! {
            driven = drive(runtime.clone()) => driven.map_err(Into::into),
            worked = work => worked.map_err(Box::<dyn Error>::from),
        }
    })?;
    check.report();
    Ok(())
}
