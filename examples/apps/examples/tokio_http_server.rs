//! `http_server`, with tokio.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
            sleep(Duration::from_secs(1)).await;
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
    stream: TcpStream,
    peer: SocketAddr,
    count: Arc<AtomicU64>,
    end: CancellationToken,
) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD);
    let service = service_fn(move |request| answer(request, count.clone()));
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
    let ended = match end.run_until_cancelled(connection.as_mut()).await {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        eprintln!("{peer}: {error}");
    }
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    let (clients, end) = (TaskTracker::new(), CancellationToken::new());
    let count = Arc::new(AtomicU64::new(0));
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                stream.set_nodelay(true)?;
                clients.spawn(converse(stream, peer, count.clone(), end.clone()));
            }
            Err(error) => {
                eprintln!("cannot accept: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let open = clients.len();
    println!("shutting down, {open} connections are open");
    clients.close();
    end.cancel();
    let _ = timeout(GRACE, clients.wait()).await;
    println!("{} ended by themselves, {} were cut", open - clients.len(), clients.len());
    Ok(())
}

fn main() -> ExitCode {
    let address = selkie_apps::address_or("127.0.0.1:8080");
    let result = address.and_then(|address| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(serve(address))
    });
    selkie_apps::exit("http_server [ADDR]", result)
}
