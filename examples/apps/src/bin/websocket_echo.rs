//! An echo server of WebSocket messages, by async-tungstenite, which needs no adapter.
//!
//! Run it with `cargo run -p selkie-apps --bin websocket_echo -- [ADDR]`, where ADDR is
//! 127.0.0.1:9001 if not given, and `python3 -m websockets ws://127.0.0.1:9001` in another terminal.
//! A message of more than a mebibyte ends its connection. Ctrl-C and SIGTERM end the server.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use async_tungstenite::tungstenite::error::{CapacityError, Error as WsError};
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use async_tungstenite::{WebSocketStream, accept_async_with_config};
use futures::{AsyncWriteExt, StreamExt};
use selkie::signal::{SIGINT, SIGTERM, Signals};
use selkie::{Async, Cancel, TaskGroup, timeout};

/// Bytes of a message.
const LIMIT: usize = 1024 * 1024;

/// For a client to ask for the upgrade, and to answer a goodbye.
const PATIENCE: Duration = Duration::from_secs(10);

async fn echo(stream: Async<TcpStream>, end: Cancel) -> Result<usize, Box<dyn Error>> {
    let limits =
        WebSocketConfig::default().max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
    let handshake = accept_async_with_config(stream, Some(limits));
    let mut socket = timeout(PATIENCE, handshake).await??;
    let mut echoed = 0;
    let goodbye = loop {
        match end.run_until_cancelled(socket.next()).await {
            Some(Some(Ok(message))) if message.is_text() || message.is_binary() => {
                socket.send(message).await?;
                echoed += 1;
            }
            // Pings are answered by tungstenite.
            Some(Some(Ok(_))) => {}
            Some(Some(Err(WsError::Capacity(error @ CapacityError::MessageTooLong { .. })))) => {
                let size = CloseFrame { code: CloseCode::Size, reason: "too long".into() };
                let _ = timeout(PATIENCE, refuse(socket, size)).await;
                return Err(error.into());
            }
            Some(Some(Err(error))) => return Err(error.into()),
            Some(None) => return Ok(echoed),
            None => break CloseFrame { code: CloseCode::Away, reason: "shutting down".into() },
        }
    };
    socket.close(Some(goodbye)).await?;
    // Until the client has answered it.
    while let Ok(Some(Ok(_))) = timeout(PATIENCE, socket.next()).await {}
    Ok(echoed)
}

/// Says goodbye to a client that has not sent all yet. To close the connection before it has would
/// reset it, and the goodbye might get lost.
async fn refuse(
    mut socket: WebSocketStream<Async<TcpStream>>,
    goodbye: CloseFrame,
) -> Result<(), Box<dyn Error>> {
    socket.close(Some(goodbye)).await?;
    let mut stream = socket.into_inner();
    stream.close().await?;
    futures::io::copy(stream, &mut futures::io::sink()).await?;
    Ok(())
}

async fn converse(stream: Async<TcpStream>, peer: SocketAddr, end: Cancel) {
    match echo(stream, end).await {
        Ok(echoed) => println!("{peer}: {echoed} messages"),
        Err(error) => eprintln!("{peer}: {error}"),
    }
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listener = Async::<TcpListener>::bind(address)?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    let mut clients = TaskGroup::new();
    let mut incoming = listener.incoming().take_until(signals.next());
    while let Some(accepted) = incoming.next().await {
        match accepted {
            Ok((stream, peer)) => clients.spawn(converse(stream, peer, clients.token().clone())),
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
    drop(incoming);
    drop(signals); // A second Ctrl-C ends it at once.
    let ended = clients.shutdown(Duration::from_secs(2)).await;
    println!("{} said goodbye, {} were cut", ended.finished, ended.cancelled);
    Ok(())
}

fn main() -> ExitCode {
    let address = selkie_apps::address_or("127.0.0.1:9001");
    let result = address.and_then(|address| selkie::block_on(serve(address)));
    selkie_apps::exit("websocket_echo [ADDR]", result)
}
