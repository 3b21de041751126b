//! The numbers of the loop over HTTP, as Prometheus asks for them.
//!
//! `cargo run --example metrics` prints an address, as `http://127.0.0.1:40123/metrics`; have it
//! from there with `curl`. It ends after as many answers as its argument says.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use futures::{AsyncBufReadExt, AsyncWriteExt, io::BufReader};
use selkie::{Async, Builder, inspect, timeout};

/// Reads a request, whatever it is, and answers with the numbers.
async fn answer(mut stream: Async<TcpStream>) -> io::Result<()> {
    let mut lines = BufReader::new(&mut stream);
    let mut line = String::new();
    // A request without a body ends with an empty line.
    while lines.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let body = inspect::metrics().to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    stream.close().await
}

async fn serve(most: usize) -> io::Result<()> {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
    println!("http://{}/metrics", listener.get_ref().local_addr()?);
    for _ in 0..most {
        let (stream, _peer) = listener.accept().await?;
        // One after the other: Prometheus asks some times a minute. Who is slow is given up.
        match timeout(Duration::from_secs(5), answer(stream)).await {
            Ok(Err(error)) => eprintln!("{error}"),
            Err(elapsed) => eprintln!("{elapsed}"),
            Ok(Ok(())) => {}
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let most = std::env::args().nth(1).map_or(usize::MAX, |most| most.parse().expect("a number"));
    // Without `timing` there are counts, and no times.
    Builder::new().timing(true).build()?.block_on(serve(most))
}
