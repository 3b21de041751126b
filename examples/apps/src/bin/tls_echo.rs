//! An echo server over TLS, by futures-rustls, which needs no adapter.
//!
//! Run it with `cargo run -p selkie-apps --bin tls_echo -- [ADDR] [FILE]`, where ADDR is
//! 127.0.0.1:9443 if not given. It makes a certificate for `localhost` and writes it into FILE, if
//! that is given; then `openssl s_client -connect 127.0.0.1:9443 -CAfile FILE` trusts it.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use futures_rustls::TlsAcceptor;
use futures_rustls::rustls::ServerConfig;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::pki_types::PrivateKeyDer;
use selkie::signal::{SIGINT, SIGTERM, Signals};
use selkie::{Async, TaskGroup, timeout};

/// For a client to shake hands: one that does not would keep its task for ever.
const PATIENCE: Duration = Duration::from_secs(10);

async fn echo(acceptor: TlsAcceptor, stream: Async<TcpStream>) -> io::Result<u64> {
    stream.set_nodelay(true)?;
    let mut tls = timeout(PATIENCE, acceptor.accept(stream)).await??;
    let (mut buffer, mut echoed) = (vec![0; 16 * 1024], 0);
    loop {
        let len = tls.read(&mut buffer).await?;
        if len == 0 {
            // Tells the end in TLS, too: without it a client could not tell it from an attack.
            tls.close().await?;
            return Ok(echoed);
        }
        tls.write_all(&buffer[..len]).await?;
        tls.flush().await?;
        echoed += len as u64;
    }
}

async fn converse(acceptor: TlsAcceptor, stream: Async<TcpStream>, peer: SocketAddr) {
    match echo(acceptor, stream).await {
        Ok(echoed) => println!("{peer}: {echoed} bytes"),
        Err(error) => eprintln!("{peer}: {error} ({:?})", error.kind()),
    }
}

async fn serve(address: SocketAddr, acceptor: TlsAcceptor) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listener = Async::<TcpListener>::bind(address)?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    let mut clients = TaskGroup::new();
    let mut incoming = listener.incoming().take_until(signals.next());
    while let Some(accepted) = incoming.next().await {
        match accepted {
            Ok((stream, peer)) => clients.spawn(converse(acceptor.clone(), stream, peer)),
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
    drop(incoming);
    drop(signals); // A second Ctrl-C ends it at once.
    clients.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

/// A certificate for `localhost` that is its own authority, in PEM, and what serves with it.
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
    Ok(selkie::block_on(serve(address, acceptor))?)
}

fn main() -> ExitCode {
    selkie_apps::exit("tls_echo [ADDR] [FILE]", run())
}
