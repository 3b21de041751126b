//! HTTP servers by hyper, one module per runtime: the same handler, a greeting with a count.
//!
//! Alike for all: one thread where the runtime has one, `TCP_NODELAY`, HTTP/1 with keep-alive, and
//! hyper's timeout for heads, so that each has a timer to set for each request.

mod measure;
mod selkie;
mod smol;
mod tokio;

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};

pub use measure::measure;

/// A server that can be measured.
pub struct Contender {
    pub name: &'static str,
    serve: fn() -> Result<()>,
}

/// The first is the one that the others are compared with.
pub const CONTENDERS: [Contender; 3] = [
    Contender { name: "tokio, current thread", serve: tokio::serve },
    Contender { name: "selkie", serve: selkie::serve },
    Contender { name: "smol", serve: smol::serve },
];

impl Contender {
    /// Becomes the server of this name. Its first line on standard output is its port and process
    /// id.
    pub fn serve(name: &str) -> Result<()> {
        let contender = CONTENDERS.iter().find(|contender| contender.name == name);
        (contender.with_context(|| format!("{name:?} serves no HTTP"))?.serve)()
    }
}

/// The handler of all. It counts in a static, since some of them ask for what is `Send`.
async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Relaxed) + 1;
    Ok(Response::new(Full::from(format!("hello, this is request {count}\n"))))
}
