//! selkie, by its feature `hyper`.

use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use selkie::Async;
use selkie::hyper::Timer;

pub fn serve() -> Result<()> {
    selkie::block_on(async {
        let listener = Async::<TcpListener>::bind(crate::servers::ADDRESS)?;
        crate::servers::announce(listener.local_addr()?)?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            selkie::spawn(converse(stream)).detach();
        }
    })
}

async fn converse(stream: Async<TcpStream>) -> hyper::Result<()> {
    Builder::new().timer(Timer).serve_connection(stream, service_fn(super::answer)).await
}
