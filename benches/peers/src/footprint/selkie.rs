use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use selkie::Async;

fn main() -> io::Result<()> {
    selkie::block_on(async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            selkie::spawn(echo(stream)).detach();
        }
    })
}

async fn echo(stream: Async<TcpStream>) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let len = stream.read_with(|mut io| io.read(&mut buffer)).await?;
        let mut rest = &buffer[..len];
        if rest.is_empty() {
            return Ok(());
        }
        while !rest.is_empty() {
            let sent = stream.write_with(|mut io| io.write(rest)).await?;
            rest = &rest[sent..];
        }
    }
}
