//! A counter over TCP, as one writes it first.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::io::BufReader;
use futures::{AsyncBufReadExt, AsyncWriteExt};
use selkie::{Async, sleep, timeout};

/// Adds what each line says, and answers with the total.
pub async fn server(total: Arc<AtomicU64>) -> io::Result<()> {
    let listener = Async::<TcpListener>::bind("0.0.0.0:80")?;
    loop {
        let (stream, _) = listener.accept().await?;
        selkie::spawn(serve(stream, Arc::clone(&total))).detach();
    }
}

async fn serve(stream: Async<TcpStream>, total: Arc<AtomicU64>) -> io::Result<()> {
    let mut lines = BufReader::new(&stream);
    let mut line = String::new();
    while lines.read_line(&mut line).await? > 0 {
        let amount = line.trim().parse().unwrap_or(0);
        let sum = total.fetch_add(amount, Ordering::Relaxed) + amount;
        (&stream).write_all(format!("{sum}\n").as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

/// Adds one, ten times; again, if that fails, or takes too long.
pub async fn client() {
    for _ in 0..10 {
        while !matches!(timeout(PATIENCE, add(1)).await, Ok(Ok(_))) {}
        sleep(PATIENCE).await;
    }
}

const PATIENCE: Duration = Duration::from_millis(50);

async fn add(amount: u64) -> io::Result<u64> {
    let mut stream = Async::<TcpStream>::connect("server:80").await?;
    stream.write_all(format!("{amount}\n").as_bytes()).await?;
    let mut sum = String::new();
    BufReader::new(&stream).read_line(&mut sum).await?;
    sum.trim().parse().map_err(|_| io::ErrorKind::UnexpectedEof.into())
}
