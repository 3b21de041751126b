//! The programs, each driven by a client that was written elsewhere.
//!
//! A client that is not installed is told of, and its test is left out; with `CI=true` it fails.

#[path = "../../../../tests/util/process.rs"]
mod process;

mod chat;
mod child;
mod cores;
mod counterparts;
mod foreign;
mod http_client;
mod http_server;
mod netcat;
mod postgres;
mod proxy;
mod tls;
mod websocket;
