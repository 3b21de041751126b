//! Upgrades: hyper asks for a connection that is `Send`, and gets one that stays.

use std::convert::Infallible;
use std::net::TcpStream;

use futures::{AsyncReadExt, AsyncWriteExt};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, client, server, upgrade};
use selkie::hyper::{Io, OnThread};
use selkie::{Async, spawn};

use crate::{connect, run, server as listen};

async fn switch(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let upgraded = upgrade::on(&mut request);
    spawn(async {
        let mut stream = Io::new(upgraded.await.unwrap());
        let mut buffer = [0; 1024];
        loop {
            let len = stream.read(&mut buffer).await.unwrap();
            if len == 0 {
                return stream.close().await.unwrap();
            }
            stream.write_all(&buffer[..len].to_ascii_uppercase()).await.unwrap();
        }
    })
    .detach();
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert("upgrade", "shout".parse().unwrap());
    response.headers_mut().insert("connection", "upgrade".parse().unwrap());
    Ok(response)
}

#[test]
fn both_sides_of_a_connection_are_upgraded_and_the_client_takes_its_socket_out_again() {
    run(async {
        let (address, _server) = listen(|stream| async {
            let connection = server::conn::http1::Builder::new()
                .serve_connection(OnThread::new(stream), service_fn(switch));
            connection.with_upgrades().await.unwrap();
        });
        let stream = OnThread::new(connect(address).await);
        let (mut client, connection) = client::conn::http1::handshake(stream).await.unwrap();
        let _connection = spawn(connection.with_upgrades());
        let request = Request::get("/")
            .header("host", "localhost")
            .header("connection", "upgrade")
            .header("upgrade", "shout")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut upgraded = Io::new(upgrade::on(response).await.unwrap());
        upgraded.write_all(b"hello").await.unwrap();
        let mut answer = [0; 5];
        upgraded.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HELLO");

        let parts = upgraded.into_inner().downcast::<OnThread<Async<TcpStream>>>().unwrap();
        assert_eq!(parts.read_buf, "");
        let mut stream: Async<TcpStream> = parts.io.into_inner();
        stream.write_all(b"and again").await.unwrap();
        stream.close().await.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "AND AGAIN");
    });
}
