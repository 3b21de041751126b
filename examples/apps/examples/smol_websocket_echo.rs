//! `websocket_echo`, with smol.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use async_signal::{Signal, Signals};
use async_tungstenite::tungstenite::error::{CapacityError, Error as WsError};
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use async_tungstenite::{WebSocketStream, accept_async_with_config};
use futures::future::{Either, select};
use smol::channel::Receiver;
use smol::future::FutureExt;
use smol::io::AsyncWriteExt;
use smol::net::{TcpListener, TcpStream};
use smol::stream::StreamExt;
use smol::{LocalExecutor, Timer};

const LIMIT: usize = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> io::Result<T> {
    let too_late = async {
        Timer::after(limit).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    async { Ok(future.await) }.or(too_late).await
}

async fn echo(stream: TcpStream, end: Receiver<()>) -> Result<usize, Box<dyn Error>> {
    let limits =
        WebSocketConfig::default().max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
    let handshake = accept_async_with_config(stream, Some(limits));
    let mut socket = within(PATIENCE, handshake).await??;
    let mut echoed = 0;
    let goodbye = loop {
        match select(socket.next(), pin!(end.recv())).await {
            Either::Left((Some(Ok(message)), _)) if message.is_text() || message.is_binary() => {
                socket.send(message).await?;
                echoed += 1;
            }
            Either::Left((Some(Ok(_)), _)) => {}
            Either::Left((
                Some(Err(WsError::Capacity(error @ CapacityError::MessageTooLong { .. }))),
                _,
            )) => {
                let size = CloseFrame { code: CloseCode::Size, reason: "too long".into() };
                let _ = within(PATIENCE, refuse(socket, size)).await;
                return Err(error.into());
            }
            Either::Left((Some(Err(error)), _)) => return Err(error.into()),
            Either::Left((None, _)) => return Ok(echoed),
            Either::Right(_) => {
                break CloseFrame { code: CloseCode::Away, reason: "shutting down".into() };
            }
        }
    };
    socket.close(Some(goodbye)).await?;
    while let Ok(Some(Ok(_))) = within(PATIENCE, socket.next()).await {}
    Ok(echoed)
}

async fn refuse(
    mut socket: WebSocketStream<TcpStream>,
    goodbye: CloseFrame,
) -> Result<(), Box<dyn Error>> {
    socket.close(Some(goodbye)).await?;
    let mut stream = socket.into_inner();
    stream.close().await?;
    smol::io::copy(stream, &mut smol::io::sink()).await?;
    Ok(())
}

async fn converse(stream: TcpStream, peer: SocketAddr, end: Receiver<()>) {
    match echo(stream, end).await {
        Ok(echoed) => println!("{peer}: {echoed} messages"),
        Err(error) => eprintln!("{peer}: {error}"),
    }
}

async fn serve(executor: &LocalExecutor<'_>, address: SocketAddr) -> io::Result<()> {
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    // Each task holds a sender: when all are gone, so are the tasks. A receiver of the other channel
    // tells it to end, when that is closed.
    let (alive, ended) = smol::channel::unbounded::<()>();
    let (end, ends) = smol::channel::unbounded::<()>();
    loop {
        let accepted = match select(Box::pin(listener.accept()), signals.next()).await {
            Either::Left((accepted, _)) => accepted,
            Either::Right(_) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (alive, ends) = (alive.clone(), ends.clone());
                let task = executor.spawn(async move {
                    converse(stream, peer, ends).await;
                    drop(alive);
                });
                task.detach();
            }
            Err(error) => {
                eprintln!("cannot accept: {error}");
                Timer::after(Duration::from_millis(100)).await;
            }
        }
    }
    let open = alive.sender_count() - 1;
    drop(alive);
    end.close();
    let _ = within(Duration::from_secs(2), ended.recv()).await;
    let cut = ended.sender_count();
    println!("{} said goodbye, {cut} were cut", open - cut);
    Ok(())
}

fn main() -> ExitCode {
    let address = selkie_apps::address_or("127.0.0.1:9001");
    let result = address.and_then(|address| {
        let executor = LocalExecutor::new();
        smol::block_on(executor.run(serve(&executor, address)))
    });
    selkie_apps::exit("websocket_echo [ADDR]", result)
}
