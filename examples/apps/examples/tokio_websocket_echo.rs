//! `websocket_echo`, with tokio.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WsError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const LIMIT: usize = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

async fn echo(
    stream: TcpStream,
    end: CancellationToken,
) -> Result<usize, Box<dyn Error + Send + Sync>> {
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
    while let Ok(Some(Ok(_))) = timeout(PATIENCE, socket.next()).await {}
    Ok(echoed)
}

async fn refuse(
    mut socket: WebSocketStream<TcpStream>,
    goodbye: CloseFrame,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    socket.close(Some(goodbye)).await?;
    let mut stream = socket.into_inner();
    stream.shutdown().await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}

async fn converse(stream: TcpStream, peer: SocketAddr, end: CancellationToken) {
    match echo(stream, end).await {
        Ok(echoed) => println!("{peer}: {echoed} messages"),
        Err(error) => eprintln!("{peer}: {error}"),
    }
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    let (clients, end) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        match accepted {
            Ok((stream, peer)) => drop(clients.spawn(converse(stream, peer, end.clone()))),
            Err(error) => {
                eprintln!("cannot accept: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let open = clients.len();
    clients.close();
    end.cancel();
    let _ = timeout(Duration::from_secs(2), clients.wait()).await;
    println!("{} said goodbye, {} were cut", open - clients.len(), clients.len());
    Ok(())
}

fn main() -> ExitCode {
    let address = selkie_apps::address_or("127.0.0.1:9001");
    let result = address.and_then(|address| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(serve(address))
    });
    selkie_apps::exit("websocket_echo [ADDR]", result)
}
