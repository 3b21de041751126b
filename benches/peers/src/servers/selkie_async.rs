//! selkie's tasks, as its README has them.

use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use selkie::Async;

pub fn serve() -> Result<()> {
    selkie::block_on(async {
        let listener = Async::<TcpListener>::bind(super::ADDRESS)?;
        super::announce(listener.get_ref().local_addr()?)?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            selkie::spawn(echo(stream)).detach();
        }
    })
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
