//! The counter, which counts nothing twice.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::io::BufReader;
use futures::{AsyncBufReadExt, AsyncWriteExt};
use selkie::{Async, sleep, timeout};

/// The total, and how many increments it consists of.
#[derive(Default)]
pub struct Counted {
    pub total: u64,
    increments: u64,
}

pub async fn server(counted: Arc<Mutex<Counted>>) -> io::Result<()> {
    let listener = Async::<TcpListener>::bind("0.0.0.0:80")?;
    loop {
        let (stream, _) = listener.accept().await?;
        selkie::spawn(serve(stream, Arc::clone(&counted))).detach();
    }
}

pub async fn serve(stream: Async<TcpStream>, counted: Arc<Mutex<Counted>>) -> io::Result<()> {
    let mut lines = BufReader::new(&stream);
    let mut line = String::new();
    while lines.read_line(&mut line).await? > 0 {
        let mut numbers = line.split_whitespace().flat_map(str::parse);
        let (Some(number), Some(amount)) = (numbers.next(), numbers.next()) else { break };
        let sum = counted.lock().unwrap().add(number, amount);
        (&stream).write_all(format!("{sum}\n").as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

impl Counted {
    /// Adds, unless this increment is counted already.
    fn add(&mut self, number: u64, amount: u64) -> u64 {
        if number > self.increments {
            self.increments = number;
            self.total += amount;
        }
        self.total
    }
}

/// Adds one, ten times; again, if that fails, or takes too long.
pub async fn client() {
    for number in 1..=10 {
        while !matches!(timeout(PATIENCE, add(number, 1)).await, Ok(Ok(_))) {}
        sleep(PATIENCE).await;
    }
}

const PATIENCE: Duration = Duration::from_millis(50);

async fn add(number: u64, amount: u64) -> io::Result<u64> {
    let mut stream = Async::<TcpStream>::connect("server:80").await?;
    stream.write_all(format!("{number} {amount}\n").as_bytes()).await?;
    let mut sum = String::new();
    BufReader::new(&stream).read_line(&mut sum).await?;
    sum.trim().parse().map_err(|_| io::ErrorKind::UnexpectedEof.into())
}
