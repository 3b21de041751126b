//! The counter, which also outlives an accept that fails.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use selkie::Async;

use super::second::{Counted, serve};

pub async fn server(counted: Arc<Mutex<Counted>>) -> io::Result<()> {
    let listener = Async::<TcpListener>::bind("0.0.0.0:80")?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        selkie::spawn(serve(stream, Arc::clone(&counted))).detach();
    }
}
