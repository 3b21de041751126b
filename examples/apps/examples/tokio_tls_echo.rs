//! `tls_echo`, with tokio.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::rustls::ServerConfig;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

const PATIENCE: Duration = Duration::from_secs(10);

async fn echo(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<u64> {
    stream.set_nodelay(true)?;
    let mut tls = timeout(PATIENCE, acceptor.accept(stream)).await??;
    let (mut buffer, mut echoed) = (vec![0; 16 * 1024], 0);
    loop {
        let len = tls.read(&mut buffer).await?;
        if len == 0 {
            tls.shutdown().await?;
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

async fn serve(address: SocketAddr, acceptor: TlsAcceptor) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    let clients = TaskTracker::new();
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        match accepted {
            Ok((stream, peer)) => drop(clients.spawn(converse(acceptor.clone(), stream, peer))),
            Err(error) => {
                eprintln!("cannot accept: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    clients.close();
    let _ = timeout(Duration::from_secs(1), clients.wait()).await;
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(serve(address, acceptor))?)
}

fn main() -> ExitCode {
    selkie_apps::exit("tls_echo [ADDR] [FILE]", run())
}
