//! `tls_echo`, with smol.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_signal::{Signal, Signals};
use futures::future::{Either, select};
use futures_rustls::TlsAcceptor;
use futures_rustls::rustls::ServerConfig;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::pki_types::PrivateKeyDer;
use smol::future::FutureExt;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use smol::stream::StreamExt;
use smol::{LocalExecutor, Timer};

const PATIENCE: Duration = Duration::from_secs(10);

async fn echo(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<u64> {
    stream.set_nodelay(true)?;
    let too_late = async {
        Timer::after(PATIENCE).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    let mut tls = async { acceptor.accept(stream).await }.or(too_late).await?;
    let (mut buffer, mut echoed) = (vec![0; 16 * 1024], 0);
    loop {
        let len = tls.read(&mut buffer).await?;
        if len == 0 {
            tls.close().await?;
            return Ok(echoed);
        }
        tls.write_all(&buffer[..len]).await?;
        tls.flush().await?;
        echoed += len as u64;
    }
}

async fn converse(acceptor: TlsAcceptor, stream: TcpStream, peer: SocketAddr) {
    match echo(acceptor, stream).await {
        Ok(echoed) => println!("{peer}: {echoed} bytes"),
        Err(error) => eprintln!("{peer}: {error} ({:?})", error.kind()),
    }
}

async fn serve(
    executor: &LocalExecutor<'_>,
    address: SocketAddr,
    acceptor: TlsAcceptor,
) -> io::Result<()> {
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    // Each task holds a sender: when all are gone, so are the tasks.
    let (alive, ended) = smol::channel::unbounded::<()>();
    loop {
        let accepted = match select(Box::pin(listener.accept()), signals.next()).await {
            Either::Left((accepted, _)) => accepted,
            Either::Right(_) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (acceptor, alive) = (acceptor.clone(), alive.clone());
                let task = executor.spawn(async move {
                    converse(acceptor, stream, peer).await;
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
    drop(alive);
    let too_late = async {
        Timer::after(Duration::from_secs(1)).await;
    };
    let all_ended = async {
        let _ = ended.recv().await;
    };
    all_ended.or(too_late).await;
    Ok(())
}

fn certificate() -> Result<(String, TlsAcceptor), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok((made.cert.pem(), TlsAcceptor::from(Arc::new(config))))
}

fn run() -> Result<(), Box<dyn Error>> {
    let address = selkie_apps::address_or("127.0.0.1:9443")?;
    let (pem, acceptor) = certificate()?;
    if let Some(file) = std::env::args().nth(2) {
        std::fs::write(file, pem)?;
    }
    let executor = LocalExecutor::new();
    Ok(smol::block_on(executor.run(serve(&executor, address, acceptor)))?)
}

fn main() -> ExitCode {
    selkie_apps::exit("tls_echo [ADDR] [FILE]", run())
}
