//! What [hyper] 1 needs of a runtime: its connections over [`Async`](crate::Async), [`Executor`] and
//! [`Timer`]. Feature `hyper`.
//!
//! Layer 6. Nothing of a user's has to be `Send`: neither services, nor their futures, nor bodies.
//! No thread.
//!
//! `Async<TcpStream>` and the other streams are hyper's `Read` and `Write` themselves, and go into a
//! connection as they are. For others there are wrappers:
//!
//! | to do | write |
//! | --- | --- |
//! | serve or ask over TCP or a Unix socket | `serve_connection(stream, service)` |
//! | … over TLS, or another stream with the traits of `futures` | `serve_connection(Io::new(stream), service)` |
//! | HTTP/2 | `http2::Builder::new(Executor)`, or `group.spawner()` in place of `Executor` |
//! | a header timeout, HTTP/2 pings | `.timer(Timer)` |
//! | an upgrade | `serve_connection(OnThread::new(stream), service).with_upgrades()` |
//! | what was upgraded, for who wants the traits of `futures` | `Io::new(upgraded)` |
//!
#![cfg_attr(not(doctest), doc = include_str!("example.md"))]
//! The programs `http_server` and `http_client` in `examples/apps` are complete ones, with graceful
//! shutdown.
//!
//! [hyper]: https://docs.rs/hyper

mod executor;
mod io;
mod on_thread;
mod timer;

pub use executor::Executor;
pub use io::Io;
pub use on_thread::OnThread;
pub use timer::Timer;
