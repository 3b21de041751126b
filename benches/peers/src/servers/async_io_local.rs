//! async-io with a `LocalExecutor` on the same thread: smol's parts without its threads.

use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use async_executor::LocalExecutor;
use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt};

pub fn serve() -> Result<()> {
    let executor = LocalExecutor::new();
    async_io::block_on(executor.run(async {
        let listener = Async::<TcpListener>::bind(super::ADDRESS)?;
        super::announce(listener.get_ref().local_addr()?)?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            stream.get_ref().set_nodelay(true)?;
            executor.spawn(echo(stream)).detach();
        }
    }))
}

async fn echo(mut stream: Async<TcpStream>) -> std::io::Result<()> {
    let mut buffer = vec![0; super::task_buffer()];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            len => stream.write_all(&buffer[..len]).await?,
        }
    }
}
