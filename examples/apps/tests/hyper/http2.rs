//! HTTP/2: streams are tasks, which need not be `Send`.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use http_body_util::{Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};
use selkie::hyper::{Executor, Timer};
use selkie::{TaskGroup, sleep, spawn};

use crate::{bytes, connect, run, server as listen};

fn request(number: usize) -> Request<Empty<Bytes>> {
    Request::get(format!("http://localhost/{number}")).body(Empty::new()).unwrap()
}

#[test]
fn a_hundred_streams_of_one_connection_are_answered_at_once() {
    run(async {
        let (now, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let seen = most.clone();
        let (address, _server) = listen(move |stream| {
            let (now, most) = (now.clone(), most.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (now, most) = (now.clone(), most.clone());
                async move {
                    now.set(now.get() + 1);
                    most.set(most.get().max(now.get()));
                    sleep(Duration::from_millis(50)).await;
                    now.set(now.get() - 1);
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(
                        request.uri().path().to_owned(),
                    )))
                }
            });
            async move {
                let mut builder = server::conn::http2::Builder::new(Executor);
                builder.timer(Timer).keep_alive_interval(Duration::from_millis(5));
                builder.serve_connection(stream, service).await.unwrap();
            }
        });
        let mut builder = client::conn::http2::Builder::new(Executor);
        builder.timer(Timer).keep_alive_interval(Duration::from_millis(5));
        let (client, connection) = builder.handshake(connect(address).await).await.unwrap();
        let _connection = spawn(connection);
        let answers = (0..100).map(|number| {
            let mut client = client.clone();
            async move {
                let response = client.send_request(request(number)).await.unwrap();
                assert_eq!(bytes(response.into_body()).await, format!("/{number}"));
            }
        });
        join_all(answers).await;
        assert_eq!(seen.get(), 100);
    });
}

#[test]
fn a_large_body_goes_through_the_windows_of_both_sides() {
    run(async {
        let (address, _server) = listen(|stream| {
            let service = service_fn(|request: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(request.into_body()))
            });
            async move {
                let builder = server::conn::http2::Builder::new(Executor);
                builder.serve_connection(stream, service).await.unwrap();
            }
        });
        let (mut client, connection) =
            client::conn::http2::handshake(Executor, connect(address).await).await.unwrap();
        let _connection = spawn(connection);
        let body = Bytes::from((0..10_000_000).map(|n| (n % 251) as u8).collect::<Vec<_>>());
        let request = Request::post("http://localhost/").body(Full::new(body.clone())).unwrap();
        let response = client.send_request(request).await.unwrap();
        assert!(bytes(response.into_body()).await == body);
    });
}

#[test]
fn streams_run_in_a_group_if_its_spawner_is_the_executor() {
    run(async {
        let group = Rc::new(TaskGroup::new());
        let spawns = group.spawner();
        let (address, _server) = listen(move |stream| {
            let service = service_fn(|_: Request<Incoming>| async {
                std::future::pending::<()>().await;
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            });
            let builder = server::conn::http2::Builder::new(spawns.clone());
            async move { drop(builder.serve_connection(stream, service).await) }
        });
        let (client, connection) =
            client::conn::http2::handshake(Executor, connect(address).await).await.unwrap();
        let _connection = spawn(connection);
        let _requests: Vec<_> = (0..3)
            .map(|number| {
                let mut client = client.clone();
                spawn(async move { client.send_request(request(number)).await })
            })
            .collect();
        while group.len() < 3 {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn a_graceful_shutdown_finishes_the_streams_that_are_open() {
    run(async {
        let (address, server) = {
            let end = selkie::Cancel::new();
            let (address, server) = listen({
                let end = end.clone();
                move |stream| {
                    let end = end.clone();
                    let ends = end.clone();
                    let service = service_fn(move |_: Request<Incoming>| {
                        let ends = ends.clone();
                        async move {
                            ends.cancel();
                            sleep(Duration::from_millis(20)).await;
                            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("in time")))
                        }
                    });
                    async move {
                        let builder = server::conn::http2::Builder::new(Executor);
                        let mut connection = pin!(builder.serve_connection(stream, service));
                        if end.run_until_cancelled(connection.as_mut()).await.is_none() {
                            connection.as_mut().graceful_shutdown();
                            connection.await.unwrap();
                        }
                    }
                }
            });
            (address, server)
        };
        let (mut client, connection) =
            client::conn::http2::handshake(Executor, connect(address).await).await.unwrap();
        let connection = spawn(connection);
        let response = client.send_request(request(1)).await.unwrap();
        assert_eq!(bytes(response.into_body()).await, "in time");
        connection.await.unwrap();
        assert!(client.send_request(request(2)).await.is_err());
        drop(server);
    });
}
