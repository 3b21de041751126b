//! Time: a limit for a peer that says nothing, and an interval.
//!
//! `cargo run --example timeout` prints `no answer: …` after 100 ms, then `tick 1` to `tick 3`,
//! 50 ms apart, and `in time: b'at last'`.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, interval, timeout};

async fn talk() -> io::Result<()> {
    // The system connects, though the server does not accept yet.
    let server = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
    let mut client = Async::<TcpStream>::connect(server.get_ref().local_addr()?).await?;
    let mut buffer = [0; 64];
    match timeout(Duration::from_millis(100), client.read(&mut buffer)).await {
        Err(elapsed) => println!("no answer: {elapsed}"),
        Ok(count) => println!("{} bytes, from whom?", count?),
    }

    let answer = selkie::spawn(async move {
        let (mut stream, _peer) = server.accept().await?;
        let mut ticks = interval(Duration::from_millis(50));
        for number in 1..=3 {
            ticks.tick().await; // The first one is due at once.
            println!("tick {number}");
        }
        stream.write_all(b"at last").await
    });
    // The read that was given up has taken nothing: this one gets all.
    let count = timeout(Duration::from_secs(10), client.read(&mut buffer)).await??;
    println!("in time: b'{}'", buffer[..count].escape_ascii());
    answer.await
}

fn main() -> io::Result<()> {
    selkie::block_on(talk())
}
