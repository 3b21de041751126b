//! monoio, as the echo server in its README, on both of its drivers.

use std::io;

use anyhow::Result;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

pub fn serve_epoll() -> Result<()> {
    RuntimeBuilder::<LegacyDriver>::new().build()?.block_on(accept_loop())
}

pub fn serve_uring() -> Result<()> {
    RuntimeBuilder::<IoUringDriver>::new().build()?.block_on(accept_loop())
}

async fn accept_loop() -> Result<()> {
    let listener = TcpListener::bind(super::ADDRESS)?;
    super::announce(listener.local_addr()?)?;
    loop {
        let (stream, _peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        monoio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(super::task_buffer());
    let mut result;
    loop {
        (result, buffer) = stream.read(buffer).await;
        if result? == 0 {
            return Ok(());
        }
        (result, buffer) = stream.write_all(buffer).await;
        result?;
        buffer.clear();
    }
}
