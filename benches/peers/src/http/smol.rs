//! smol, by smol-hyper: the global executor, and async-io's reactor under it.

use anyhow::Result;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use smol::net::{TcpListener, TcpStream};
use smol_hyper::rt::{FuturesIo, SmolTimer};

pub fn serve() -> Result<()> {
    smol::block_on(async {
        let listener = TcpListener::bind(crate::servers::ADDRESS).await?;
        crate::servers::announce(listener.local_addr()?)?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            smol::spawn(converse(stream)).detach();
        }
    })
}

async fn converse(stream: TcpStream) -> hyper::Result<()> {
    let stream = FuturesIo::new(stream);
    Builder::new().timer(SmolTimer::new()).serve_connection(stream, service_fn(super::answer)).await
}
