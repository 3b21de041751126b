//! `http_server`, with smol.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_signal::{Signal, Signals};
use futures::future::{Either as First, select};
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::server::conn::auto;
use smol::channel::Receiver;
use smol::future::FutureExt;
use smol::net::{TcpListener, TcpStream};
use smol::stream::StreamExt;
use smol::{Executor, Timer};
use smol_hyper::rt::{FuturesIo, SmolExecutor, SmolTimer};

const HEAD: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(5);

type Body = Either<Full<Bytes>, Incoming>;

async fn answer(
    request: Request<Incoming>,
    count: Arc<AtomicU64>,
) -> hyper::Result<Response<Body>> {
    let number = count.fetch_add(1, Relaxed) + 1;
    let text = |text: String| Response::new(Either::Left(Full::from(text)));
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => text(format!("request {number}\n")),
        (&Method::GET, "/slow") => {
            Timer::after(Duration::from_secs(1)).await;
            text("here it is\n".to_owned())
        }
        (&Method::POST, "/echo") => Response::new(Either::Right(request.into_body())),
        _ => {
            let mut response = text("there is no such page\n".to_owned());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

async fn converse(
    executor: Arc<Executor<'static>>,
    stream: TcpStream,
    peer: SocketAddr,
    count: Arc<AtomicU64>,
    end: Receiver<()>,
) {
    let mut server = auto::Builder::new(SmolExecutor::new(executor));
    server.http1().timer(SmolTimer::new()).header_read_timeout(HEAD);
    server.http2().timer(SmolTimer::new()).keep_alive_interval(HEAD);
    let service = service_fn(move |request| answer(request, count.clone()));
    let mut connection = pin!(server.serve_connection(FuturesIo::new(stream), service));
    let ended = match select(connection.as_mut(), pin!(end.recv())).await {
        First::Left((ended, _)) => ended,
        First::Right(_) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        eprintln!("{peer}: {error}");
    }
}

async fn serve(executor: Arc<Executor<'static>>, address: SocketAddr) -> io::Result<()> {
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    let count = Arc::new(AtomicU64::new(0));
    // Each task holds a sender: when all are gone, so are the tasks. A receiver of the other channel
    // tells it to end, when that is closed.
    let (alive, ended) = smol::channel::unbounded::<()>();
    let (end, ends) = smol::channel::unbounded::<()>();
    loop {
        let accepted = match select(Box::pin(listener.accept()), signals.next()).await {
            First::Left((accepted, _)) => accepted,
            First::Right(_) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                stream.set_nodelay(true)?;
                let serves = converse(executor.clone(), stream, peer, count.clone(), ends.clone());
                let alive = alive.clone();
                let task = executor.spawn(async move {
                    serves.await;
                    drop(alive);
                });
                task.detach();
            }
            Err(error) => {
                eprintln!("cannot accept: {error}");
                Timer::after(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let open = alive.sender_count() - 1;
    println!("shutting down, {open} connections are open");
    drop(alive);
    end.close();
    let too_late = async {
        Timer::after(GRACE).await;
    };
    let all_ended = async {
        let _ = ended.recv().await;
    };
    all_ended.or(too_late).await;
    let cut = ended.sender_count();
    println!("{} ended by themselves, {cut} were cut", open - cut);
    Ok(())
}

fn main() -> ExitCode {
    let address = selkie_apps::address_or("127.0.0.1:8080");
    let result = address.and_then(|address| {
        let executor = Arc::new(Executor::new());
        smol::block_on(executor.run(serve(executor.clone(), address)))
    });
    selkie_apps::exit("http_server [ADDR]", result)
}
