//! The feature `hyper`: hyper's own server and client over loopback, in one runtime, with services
//! and bodies that are not `Send`.

mod hostile;
mod http1;
mod http2;
mod io;
mod timer;
mod upgrade;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use futures::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use selkie::{Async, Task, spawn, timeout};

/// For what has to happen. Only a failing test waits for it.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs a test, which has to end by itself.
#[track_caller]
fn run<T>(test: impl Future<Output = T>) -> T {
    selkie::block_on(timeout(DEADLINE, test)).expect("the test does not end")
}

/// Serves every connection in a task, as `serve` says, as long as the task is kept.
fn server<F>(mut serve: impl FnMut(Async<TcpStream>) -> F + 'static) -> (SocketAddr, Task<()>)
where
    F: Future<Output = ()> + 'static,
{
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let task = spawn(async move {
        let mut tasks = Vec::new();
        loop {
            let (stream, _peer) = listener.accept().await.unwrap();
            tasks.push(spawn(serve(stream)));
        }
    });
    (address, task)
}

async fn connect(address: SocketAddr) -> Async<TcpStream> {
    let stream = Async::<TcpStream>::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn bytes<B: Body<Error: std::fmt::Debug>>(body: B) -> Bytes {
    body.collect().map(|collected| collected.unwrap().to_bytes()).await
}
