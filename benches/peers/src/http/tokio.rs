//! tokio on one thread, as hyper's own guide has it.

use anyhow::Result;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

pub fn serve() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(crate::servers::ADDRESS).await?;
        crate::servers::announce(listener.local_addr()?)?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(converse(stream));
        }
    })
}

async fn converse(stream: TcpStream) -> hyper::Result<()> {
    let stream = TokioIo::new(stream);
    Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(stream, service_fn(super::answer))
        .await
}
