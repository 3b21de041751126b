//! Standard input goes to a TCP connection, and what comes from it to standard output.
//!
//! Run it with `cargo run -p selkie-apps --bin netcat -- ADDR`, as in `echo hello | netcat
//! 127.0.0.1:9999`. Standard input may be a terminal, a pipe, a file or `/dev/null`, and is left as
//! it was. Its end shuts the write side down; the program ends with what comes from the other side.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::process::ExitCode;

use futures::AsyncWriteExt;
use futures::future::{Either, select};
use selkie::Async;
use selkie::io::{stdin, stdout};

async fn talk(address: SocketAddr) -> io::Result<()> {
    let stream = Async::<TcpStream>::connect(address).await?;
    let (input, mut output) = (stdin()?, stdout()?);
    let sends = pin!(async {
        futures::io::copy(input, &mut &stream).await?;
        (&stream).close().await
    });
    let receives = pin!(futures::io::copy(&stream, &mut output));
    match select(receives, sends).await {
        // The other side has ended, so nobody reads what might still be typed.
        Either::Left((received, _sends)) => received.map(drop),
        Either::Right((sent, receives)) => {
            sent?;
            receives.await.map(drop)
        }
    }
}

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_default();
    let result = selkie_apps::address(&address);
    let result = result.and_then(|address| selkie::block_on(talk(address)));
    selkie_apps::exit("netcat ADDR", result)
}
