//! What a conversation sees.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use selkie::Async;

#[derive(Clone, Copy)]
pub struct Conversation {
    pub name: &'static str,
    pub talk: fn(Seen) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// A conversation from an async function.
#[macro_export]
macro_rules! conversation {
    ($talk:ident) => {
        $crate::seen::Conversation { name: stringify!($talk), talk: |seen| Box::pin($talk(seen)) }
    };
}

#[derive(Clone, Debug)]
pub struct Row {
    pub call: String,
    pub result: String,
}

#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Vec<Row>>>);

impl Seen {
    pub fn rows(&self) -> Vec<Row> {
        self.0.lock().unwrap().clone()
    }

    /// Notes what a call has returned.
    pub fn call<T: Debug>(&self, call: &str, result: io::Result<T>) -> Option<T> {
        let (text, value) = match result {
            Ok(value) => (format!("{value:?}"), Some(value)),
            Err(error) => (format!("{:?} {:?}", error.kind(), error.raw_os_error()), None),
        };
        self.note(call, text);
        value
    }

    pub fn note(&self, call: &str, result: impl ToString) {
        self.0.lock().unwrap().push(Row { call: call.to_owned(), result: result.to_string() });
    }
}

/// Lets arrive what was sent: at once over the real loopback, where this is not waited for.
pub async fn settle() {
    selkie::sleep(Duration::from_millis(5)).await;
}

pub const ANY: &str = "127.0.0.1:0";

/// A listener, and two ends of a connection: the client's and the server's.
pub async fn connected() -> (Async<TcpListener>, Async<TcpStream>, Async<TcpStream>) {
    let listener = Async::<TcpListener>::bind(ANY).unwrap();
    let address = listener.local_addr().unwrap();
    let client = Async::<TcpStream>::connect(address).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (listener, client, server)
}

/// An address where nobody listens, any more.
pub fn nowhere() -> SocketAddr {
    Async::<TcpListener>::bind(ANY).unwrap().local_addr().unwrap()
}
