//! Fetches a page, by hyper, over HTTP or HTTPS.
//!
//! Run it with `cargo run -p selkie-apps --bin http_client -- URL [FILE]`, as in `http_client
//! http://127.0.0.1:8080/`. The head goes to standard error, the body to standard output. FILE has
//! the certificates in PEM that are trusted for HTTPS.

use std::error::Error;
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::AsyncWriteExt;
use futures_rustls::TlsConnector;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use futures_rustls::rustls::{ClientConfig, RootCertStore};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper::{Request, Uri, header};
use selkie::hyper::Io;
use selkie::io::stdout;
use selkie::{Async, spawn, timeout};

/// For the other side to answer.
const PATIENCE: Duration = Duration::from_secs(30);

fn tls(trusted: Option<&str>) -> Result<TlsConnector, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(trusted.ok_or("https needs a FILE")?)? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn fetch(
    url: &Uri,
    stream: impl Read + Write + Unpin + 'static,
) -> Result<(), Box<dyn Error>> {
    let (mut client, connection) = http1::handshake(stream).await?;
    let _connection = spawn(connection);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let host = url.authority().ok_or("there is no host in the URL")?.as_str();
    let request = Request::get(path).header(header::HOST, host).body(Empty::<Bytes>::new())?;
    let response = timeout(PATIENCE, client.send_request(request)).await??;
    eprintln!("{:?} {}", response.version(), response.status());
    response.headers().iter().for_each(|(name, value)| eprintln!("{name}: {value:?}"));
    let (mut body, mut output) = (response.into_body(), stdout()?);
    while let Some(frame) = timeout(PATIENCE, body.frame()).await? {
        if let Some(data) = frame?.data_ref() {
            output.write_all(data).await?;
        }
    }
    Ok(())
}

async fn run(url: &Uri, trusted: Option<&str>) -> Result<(), Box<dyn Error>> {
    let host = url.host().ok_or("there is no host in the URL")?;
    let (is_secure, usual) = match url.scheme_str() {
        Some("http") => (false, 80),
        Some("https") => (true, 443),
        _ => return Err("the URL begins with neither http: nor https:".into()),
    };
    let address = (host.trim_matches(['[', ']']), url.port_u16().unwrap_or(usual));
    let stream = Async::<TcpStream>::connect_timeout(address, PATIENCE).await?;
    stream.set_nodelay(true)?;
    if !is_secure {
        return fetch(url, stream).await;
    }
    let name = ServerName::try_from(address.0.to_owned())?;
    let stream = timeout(PATIENCE, tls(trusted)?.connect(name, stream)).await??;
    fetch(url, Io::new(stream)).await
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match &arguments[..] {
        [url, trusted @ ..] => url
            .parse()
            .map_err(Into::into)
            .and_then(|url| selkie::block_on(run(&url, trusted.first().map(String::as_str)))),
        [] => Err("a URL is needed".into()),
    };
    selkie_apps::exit("http_client URL [FILE]", result)
}
