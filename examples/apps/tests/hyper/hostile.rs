//! Clients that mean no good, and those that go away in the middle.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, server, upgrade};
use selkie::hyper::{OnThread, Timer};
use selkie::{Cancel, sleep, spawn};

use crate::{connect, run, server as listen};

#[test]
fn a_client_that_sends_its_head_byte_by_byte_is_cut_off_by_the_header_timeout() {
    run(async {
        let (address, _server) = listen(|stream| async {
            let service = service_fn(|_: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            });
            let mut builder = server::conn::http1::Builder::new();
            builder.timer(Timer).header_read_timeout(Duration::from_millis(60));
            let error = builder.serve_connection(stream, service).await.unwrap_err();
            assert!(error.is_timeout(), "{error:?}");
        });
        let mut stream = connect(address).await;
        let before = Instant::now();
        let mut sent = 0;
        // Never silent for long.
        while stream.write_all(b"x").await.is_ok() {
            sent += 1;
            assert!(before.elapsed() < Duration::from_secs(20), "{sent} bytes");
            sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn requests_that_come_all_at_once_are_answered_in_order() {
    const REQUESTS: usize = 200;
    run(async {
        let (address, _server) = listen(|stream| {
            let service = service_fn(|request: Request<Incoming>| async move {
                let path = request.uri().path().to_owned();
                if path.ends_with('7') {
                    sleep(Duration::from_millis(1)).await;
                }
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(path)))
            });
            async move {
                let mut builder = server::conn::http1::Builder::new();
                builder.pipeline_flush(true);
                builder.serve_connection(stream, service).await.unwrap();
            }
        });
        let mut stream = connect(address).await;
        let requests: String = (0..REQUESTS)
            .map(|number| {
                let last = if number + 1 == REQUESTS { "connection: close\r\n" } else { "" };
                format!("GET /{number:03} HTTP/1.1\r\nhost: here\r\n{last}\r\n")
            })
            .collect();
        stream.write_all(requests.as_bytes()).await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        let bodies: Vec<_> = answers.split("\r\n\r\n").skip(1).map(|rest| &rest[..4]).collect();
        let expected: Vec<_> = (0..REQUESTS).map(|number| format!("/{number:03}")).collect();
        assert_eq!(bodies, expected);
    });
}

#[test]
fn a_client_that_resets_in_the_middle_of_a_body_ends_that_connection_and_no_other() {
    run(async {
        let ended = Rc::new(RefCell::new(Vec::new()));
        let told = ended.clone();
        let (address, _server) = listen(move |stream| {
            let told = told.clone();
            let service = service_fn(|request: Request<Incoming>| async {
                let body = request.into_body().collect().await;
                body.map(|body| Response::new(Full::<Bytes>::from(body.to_bytes())))
            });
            async move {
                let server = server::conn::http1::Builder::new();
                let ended = server.serve_connection(stream, service).await;
                told.borrow_mut().push(ended.is_ok());
            }
        });
        let mut good = connect(address).await;
        let head =
            b"POST / HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhe";
        good.write_all(head).await.unwrap();
        for _ in 0..20 {
            let mut bad = connect(address).await;
            bad.write_all(b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 99\r\n\r\nabc")
                .await
                .unwrap();
            socket2::SockRef::from(bad.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
        }
        while ended.borrow().len() < 20 {
            sleep(Duration::from_millis(1)).await;
        }
        good.write_all(b"llo").await.unwrap();
        let mut answer = String::new();
        good.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
        assert_eq!(*ended.borrow(), [&[false; 20][..], &[true]].concat());
    });
}

#[test]
fn a_connection_without_a_request_is_closed_by_a_graceful_shutdown() {
    run(async {
        let end = Cancel::new();
        let token = end.clone();
        let served = Rc::new(Cell::new(0));
        let count = served.clone();
        let (address, _server) = listen(move |stream| {
            let (token, count) = (token.clone(), count.clone());
            let service = service_fn(|_: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
            });
            async move {
                let server = server::conn::http1::Builder::new();
                let mut connection = pin!(server.serve_connection(stream, service));
                if token.run_until_cancelled(connection.as_mut()).await.is_none() {
                    connection.as_mut().graceful_shutdown();
                    connection.await.unwrap();
                }
                count.set(count.get() + 1);
            }
        });
        let mut between_requests = connect(address).await;
        between_requests.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        let mut answer = [0; 1024];
        let len = between_requests.read(&mut answer).await.unwrap();
        assert!(answer[..len].ends_with(b"hello"));
        let mut silent = connect(address).await;
        sleep(Duration::from_millis(5)).await;
        end.cancel();
        for stream in [&mut between_requests, &mut silent] {
            assert_eq!(stream.read(&mut answer).await.unwrap(), 0);
        }
        while served.get() < 2 {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn an_upgrade_that_is_dropped_closes_the_connection() {
    run(async {
        for drops_at_once in [true, false] {
            let (address, _server) = listen(move |stream| async move {
                let service = service_fn(|mut request: Request<Incoming>| async move {
                    let upgraded = upgrade::on(&mut request);
                    if drops_at_once {
                        drop(upgraded);
                    } else {
                        spawn(async { drop(upgraded.await.unwrap()) }).detach();
                    }
                    let mut response = Response::new(Empty::<Bytes>::new());
                    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                    response.headers_mut().insert("upgrade", "shout".parse().unwrap());
                    response.headers_mut().insert("connection", "upgrade".parse().unwrap());
                    Ok::<_, Infallible>(response)
                });
                let connection = server::conn::http1::Builder::new()
                    .serve_connection(OnThread::new(stream), service);
                let _ = connection.with_upgrades().await;
            });
            let mut stream = connect(address).await;
            let head =
                b"GET / HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: shout\r\n\r\n";
            stream.write_all(head).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        }
    });
}
