//! smol, as its `tcp-server` example: the global executor, and async-io's reactor under it.

use anyhow::Result;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};

pub fn serve() -> Result<()> {
    smol::block_on(async {
        let listener = TcpListener::bind(super::ADDRESS).await?;
        super::announce(listener.local_addr()?)?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            smol::spawn(echo(stream)).detach();
        }
    })
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; super::task_buffer()];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            len => stream.write_all(&buffer[..len]).await?,
        }
    }
}
