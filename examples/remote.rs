//! Other threads: they wake tasks, spawn tasks, and do for a task what would block its loop.
//!
//! `cargo run --example remote` prints `localhost is 127.0.0.1`, and perhaps more such, which a
//! thread has looked up; then `a task of another thread ran in the loop's thread`, and
//! `its answer is 42`.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::rc::Rc;
use std::thread;

use futures::channel::oneshot;
use selkie::{Runtime, yield_now};

/// Looks a host name up on a thread of its own, since getaddrinfo(3) blocks. The thread's answer
/// wakes the task. If the task gives up, the thread ends by itself, and its answer is dropped.
async fn resolve(host: &'static str) -> io::Result<Vec<IpAddr>> {
    let (answer, awaited) = oneshot::channel();
    thread::spawn(move || {
        let looked_up = (host, 0).to_socket_addrs();
        let _ = answer.send(looked_up.map(|found| found.map(|address| address.ip()).collect()));
    });
    awaited.await.map_err(|_| io::Error::other("the thread that looks names up has panicked"))?
}

fn main() -> io::Result<()> {
    let runtime = Runtime::new()?;
    for address in runtime.block_on(resolve("localhost"))? {
        println!("localhost is {address}");
    }

    let loops_thread = thread::current().id();
    let remote = runtime.remote();
    let (done, other_is_done) = oneshot::channel();
    let other = thread::spawn(move || {
        // The closure crosses over. What it makes is at home in the loop: an `Rc` will do.
        let task = remote.spawn(move || async move {
            let six = Rc::new(6);
            yield_now().await; // The `Rc` is held meanwhile.
            assert_eq!(thread::current().id(), loops_thread);
            println!("a task of another thread ran in the loop's thread");
            *six * 7
        })?;
        // A task may be awaited anywhere, here by a second runtime, of this thread.
        let value = selkie::block_on(task);
        let _ = done.send(()); // Wakes the loop's thread.
        io::Result::Ok(value)
    });
    // Until the other thread is done, or has failed and dropped its end.
    let _ = runtime.block_on(other_is_done);
    let value = other.join().expect("the other thread does not panic")?;
    println!("its answer is {value}");
    Ok(())
}
