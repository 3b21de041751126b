//! `netcat`, with tokio.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::io::{AsyncWriteExt, copy, stdin, stdout};
use tokio::net::TcpStream;
use tokio::select;

async fn talk(address: SocketAddr) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    let (mut from, mut to) = stream.into_split();
    let (mut input, mut output) = (stdin(), stdout());
    let sends = async {
        copy(&mut input, &mut to).await?;
        to.shutdown().await
    };
    let receives = async {
        copy(&mut from, &mut output).await?;
        output.flush().await
    };
    tokio::pin!(sends, receives);
    select! {
        received = &mut receives => return received,
        sent = &mut sends => sent?,
    }
    receives.await
}

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_default();
    let result = selkie_apps::address(&address);
    let result = result.and_then(|address| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(talk(address));
        // A thread may wait for standard input, and the runtime for it.
        runtime.shutdown_background();
        result
    });
    selkie_apps::exit("netcat ADDR", result)
}
