//! An HTTP server, by hyper: HTTP/1 and HTTP/2, one thread, and nothing in it is `Send`.
//!
//! Run it with `cargo run -p selkie-apps --bin http_server -- [ADDR]`, where ADDR is 127.0.0.1:8080
//! if not given. `/` answers with a count of requests, `/echo` with what was sent, `/slow` after a
//! second. Ctrl-C and SIGTERM let it finish what is under way, for five seconds at most.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::server::conn::auto;
use selkie::hyper::{Executor, Timer};
use selkie::signal::{SIGINT, SIGTERM, Signals};
use selkie::{Async, Cancel, TaskGroup, net, sleep};

/// For a client to send the head of a request, the first or the next one.
const HEAD: Duration = Duration::from_secs(10);

/// For requests that are under way when the server ends.
const GRACE: Duration = Duration::from_secs(5);

type Body = Either<Full<Bytes>, Incoming>;

async fn answer(request: Request<Incoming>, count: Rc<Cell<u64>>) -> hyper::Result<Response<Body>> {
    count.set(count.get() + 1);
    let text = |text: String| Response::new(Either::Left(Full::from(text)));
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => text(format!("request {}\n", count.get())),
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

async fn converse(stream: Async<TcpStream>, peer: SocketAddr, count: Rc<Cell<u64>>, end: Cancel) {
    let mut server = auto::Builder::new(Executor);
    server.http1().timer(Timer).header_read_timeout(HEAD);
    server.http2().timer(Timer).keep_alive_interval(HEAD);
    let service = service_fn(|request| answer(request, count.clone()));
    let mut connection = pin!(server.serve_connection(stream, service));
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

pub async fn serve(address: SocketAddr) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listener = net::listen(address).nodelay(true).bind()?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    let (mut clients, count) = (TaskGroup::new(), Rc::new(Cell::new(0)));
    let mut incoming = listener.incoming().take_until(signals.next());
    while let Some(accepted) = incoming.next().await {
        match accepted {
            Ok((stream, peer)) => {
                let end = clients.token().clone();
                clients.spawn(converse(stream, peer, count.clone(), end));
            }
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
    drop(incoming);
    drop(listener); // Nobody else is let in.
    drop(signals); // A second Ctrl-C ends it at once.
    println!("shutting down, {} connections are open", clients.len());
    let ended = clients.shutdown(GRACE).await;
    println!("{} ended by themselves, {} were cut", ended.finished, ended.cancelled);
    Ok(())
}

fn main() -> ExitCode {
    let address = selkie_apps::address_or("127.0.0.1:8080");
    let result = address.and_then(|address| selkie::block_on(serve(address)));
    selkie_apps::exit("http_server [ADDR]", result)
}
