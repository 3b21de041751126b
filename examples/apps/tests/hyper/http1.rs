//! HTTP/1: keep-alive, bodies, timeouts, bad input, and the end of a server.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io::ErrorKind;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use http_body_util::{Empty, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, client, server};
use selkie::hyper::Timer;
use selkie::{Cancel, sleep, spawn, yield_now};

use crate::{bytes, connect, run, server as listen};

type Errors = Rc<RefCell<Vec<hyper::Error>>>;

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).header("host", "localhost").body(Empty::new()).unwrap()
}

#[test]
fn a_hundred_requests_share_a_connection_and_data_that_is_not_send() {
    run(async {
        let count = Rc::new(Cell::new(0));
        let connections = Rc::new(Cell::new(0));
        let opened = connections.clone();
        let (address, _server) = listen(move |stream| {
            opened.set(opened.get() + 1);
            let count = count.clone();
            let service = service_fn(move |_: Request<Incoming>| {
                let count = count.clone();
                async move {
                    yield_now().await;
                    count.set(count.get() + 1);
                    Ok::<_, Infallible>(Response::new(count.get().to_string()))
                }
            });
            async move {
                server::conn::http1::Builder::new().serve_connection(stream, service).await.unwrap()
            }
        });
        let stream = connect(address).await;
        let (mut client, connection) = client::conn::http1::handshake(stream).await.unwrap();
        let _connection = spawn(connection);
        for number in 1..=100 {
            let response = client.send_request(request("/")).await.unwrap();
            assert_eq!(bytes(response.into_body()).await, number.to_string());
        }
        assert_eq!(connections.get(), 1);
    });
}

#[test]
fn large_bodies_stream_both_ways_at_once() {
    const PIECES: usize = 2_000;
    run(async {
        let (address, _server) = listen(|stream| {
            let service = service_fn(|request: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(request.into_body()))
            });
            async move {
                server::conn::http1::Builder::new().serve_connection(stream, service).await.unwrap()
            }
        });
        let stream = connect(address).await;
        let (mut client, connection) = client::conn::http1::handshake(stream).await.unwrap();
        let _connection = spawn(connection);
        let piece = |number: usize| Bytes::from(vec![number as u8; 10_000]);
        // Not `Send` either.
        let pieces = futures::stream::unfold(Rc::new(0), move |next| async move {
            (*next < PIECES)
                .then(|| (Ok::<_, Infallible>(Frame::data(piece(*next))), Rc::new(*next + 1)))
        });
        let body = StreamBody::new(pieces);
        let request = Request::post("/").header("host", "localhost").body(Box::pin(body)).unwrap();
        let response = client.send_request(request).await.unwrap();
        let echo = bytes(response.into_body()).await;
        assert_eq!(echo.len(), PIECES * 10_000);
        assert!((0..PIECES).all(|number| echo[number * 10_000..][..10_000] == piece(number)));
    });
}

/// A server that keeps its errors.
fn keeping(errors: &Errors) -> (std::net::SocketAddr, selkie::Task<()>) {
    let errors = errors.clone();
    listen(move |stream| {
        let errors = errors.clone();
        let service = service_fn(|_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
        });
        async move {
            let mut builder = server::conn::http1::Builder::new();
            builder.timer(Timer).header_read_timeout(Duration::from_millis(50));
            let ended = builder.serve_connection(stream, service).await;
            errors.borrow_mut().extend(ended.err());
        }
    })
}

#[test]
fn a_client_that_does_not_finish_its_head_is_cut_off_by_the_header_timeout() {
    run(async {
        let errors = Errors::default();
        let (address, _server) = keeping(&errors);
        let before = Instant::now();
        let mut stream = connect(address).await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: loc").await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(before.elapsed() >= Duration::from_millis(50));
        assert_eq!(rest, b"");
        let [error] = &errors.borrow()[..] else { panic!("one error") };
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(error.to_string(), "read header from client timeout");
    });
}

#[test]
fn the_header_timeout_begins_anew_with_each_request_and_is_not_that_of_the_answer() {
    run(async {
        let (address, _server) = listen(|stream| {
            let service = service_fn(|_: Request<Incoming>| async {
                sleep(Duration::from_millis(150)).await;
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
            });
            async move {
                let mut builder = server::conn::http1::Builder::new();
                builder.timer(Timer).header_read_timeout(Duration::from_millis(100));
                let _ = builder.serve_connection(stream, service).await;
            }
        });
        let stream = connect(address).await;
        let (mut client, connection) = client::conn::http1::handshake(stream).await.unwrap();
        let connection = spawn(connection);
        for _ in 0..3 {
            let response = client.send_request(request("/")).await.unwrap();
            assert_eq!(bytes(response.into_body()).await, "hello");
        }
        // An idle connection is closed by it.
        connection.await.unwrap();
    });
}

#[test]
fn a_request_line_of_a_megabyte_is_refused_and_the_connection_closed() {
    run(async {
        let errors = Errors::default();
        let (address, _server) = keeping(&errors);
        let stream = connect(address).await;
        let (mut reads, mut writes) = (&stream, &stream);
        let sends = async {
            let line = [&b"GET /"[..], &[b'a'; 1_000_000], b" HTTP/1.1\r\n\r\n"].concat();
            // The server does not take it to its end.
            let _ = writes.write_all(&line).await;
        };
        let mut answer = [0; 12];
        let (_, read) = futures::join!(sends, reads.read_exact(&mut answer));
        read.unwrap();
        let answer = std::str::from_utf8(&answer).unwrap();
        assert!(["HTTP/1.1 414", "HTTP/1.1 431"].contains(&answer), "{answer}");
        let mut rest = Vec::new();
        match reads.read_to_end(&mut rest).await {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        let [error] = &errors.borrow()[..] else { panic!("one error") };
        assert!(error.is_parse_too_large(), "{error:?}");
    });
}

#[test]
fn a_client_that_speaks_something_else_gets_a_bad_request() {
    run(async {
        let errors = Errors::default();
        let (address, _server) = keeping(&errors);
        let mut stream = connect(address).await;
        stream.write_all(b"\x16\x03\x01 this is TLS\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{answer}");
        let [error] = &errors.borrow()[..] else { panic!("one error") };
        assert!(error.is_parse(), "{error:?}");
    });
}

#[test]
fn a_graceful_shutdown_finishes_the_request_that_is_under_way_and_takes_no_other() {
    run(async {
        let end = Cancel::new();
        let token = end.clone();
        let (address, _server) = listen(move |stream| {
            let token = token.clone();
            let service = service_fn(|_: Request<Incoming>| async {
                sleep(Duration::from_millis(50)).await;
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("in time")))
            });
            async move {
                let server = server::conn::http1::Builder::new();
                let mut connection = pin!(server.serve_connection(stream, service));
                if token.run_until_cancelled(connection.as_mut()).await.is_none() {
                    connection.as_mut().graceful_shutdown();
                    connection.await.unwrap();
                }
            }
        });
        let (mut busy, connection) =
            client::conn::http1::handshake(connect(address).await).await.unwrap();
        let busy_connection = spawn(connection);
        let (_idle, connection) =
            client::conn::http1::handshake::<_, Empty<Bytes>>(connect(address).await)
                .await
                .unwrap();
        let idle_connection = spawn(connection);
        let response = spawn(async move {
            let response = busy.send_request(request("/")).await.unwrap();
            assert_eq!(response.headers()["connection"], "close");
            (bytes(response.into_body()).await, busy)
        });
        sleep(Duration::from_millis(10)).await;
        end.cancel();
        // Its client had no answer to wait for, and calls that an error.
        drop(idle_connection.await);
        assert!(!response.is_finished());
        let (body, mut busy) = response.await;
        assert_eq!(body, "in time");
        busy_connection.await.unwrap();
        assert!(busy.send_request(request("/")).await.unwrap_err().is_canceled());
    });
}

#[test]
fn a_client_gets_an_answer_without_a_length_to_the_end_of_the_connection() {
    run(async {
        let (address, _server) = listen(|mut stream| async move {
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await.unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nto the end").await.unwrap();
        });
        let (mut client, connection) =
            client::conn::http1::handshake(connect(address).await).await.unwrap();
        let _connection = spawn(connection);
        let response = client.send_request(request("/")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(bytes(response.into_body()).await, "to the end");
    });
}
