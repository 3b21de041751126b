//! `http_client`, with servers of Python and openssl.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use crate::foreign::{output, python, tool};
use crate::process::Program;

fn client(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_http_client"));
    command.args(arguments);
    command
}

/// The error that a fetch ends with.
fn error(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = client(arguments).output().unwrap();
    assert!(!status.success() && stdout.is_empty());
    let said = String::from_utf8(stderr).unwrap();
    said.lines().next().unwrap().to_owned()
}

#[test]
fn a_page_of_pythons_server_is_fetched_by_name_and_by_address() {
    let Some(mut script) = python("http_files.py", "http.server") else { return };
    let folder = tempfile::tempdir().unwrap();
    let body: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    fs::write(folder.path().join("page"), &body).unwrap();
    let mut server = Program::start(script.arg(folder.path()));
    let port = server.wait_for_line("");
    for host in ["localhost", "127.0.0.1"] {
        assert!(output(&mut client(&[&format!("http://{host}:{port}/page")])) == body);
    }
    let missing = client(&[&format!("http://127.0.0.1:{port}/nowhere")]).output().unwrap();
    let head = String::from_utf8(missing.stderr).unwrap();
    assert!(head.starts_with("HTTP/1.0 404 Not Found\n"), "{head}");
}

#[test]
fn a_page_of_openssls_server_is_fetched_over_tls_if_it_is_trusted() {
    let Some(mut openssl) = tool("openssl", "version") else { return };
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("certificate"), made.cert.pem()).unwrap();
    fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
    fs::write(path("other"), other.cert.pem()).unwrap();
    openssl.args(["s_server", "-www", "-accept", "127.0.0.1:0", "-cert", &path("certificate")]);
    let mut server = Program::start(openssl.args(["-key", &path("key")]));
    let told = server.wait_for_line("ACCEPT 127.0.0.1:");
    let port = told.rsplit_once(':').unwrap().1;
    let url = format!("https://localhost:{port}/");
    let page = String::from_utf8(output(&mut client(&[&url, &path("certificate")]))).unwrap();
    assert!(page.contains("s_server"), "{page}");

    assert!(error(&[&url, &path("other")]).contains("invalid peer certificate"));
    assert_eq!(error(&[&url]), "https needs a FILE");
    let address = format!("https://127.0.0.1:{port}/");
    assert!(error(&[&address, &path("certificate")]).contains("not valid for name"));
}

#[test]
fn a_url_that_leads_nowhere_is_an_error_that_says_why() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(error(&[&format!("http://{nobody}/")]).to_lowercase().contains("refused"));
    let unknown = error(&["http://no-such-host.invalid/"]);
    assert!(unknown.contains("no-such-host.invalid"), "{unknown}");
    assert_eq!(error(&["ftp://localhost/"]), "the URL begins with neither http: nor https:");
    assert_eq!(error(&["/page"]), "there is no host in the URL");
    assert_eq!(error(&[]), "a URL is needed");
    assert!(error(&["http://local host/"]).contains("invalid uri"));
}

#[test]
fn a_server_that_speaks_plain_text_is_told_from_one_of_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certificate");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&file, made.cert.pem()).unwrap();
    let url = format!("https://localhost:{port}/");
    let mut command = client(&[&url, file.to_str().unwrap()]);
    let running = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    let ended = running.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("received corrupt message of type InvalidContentType"), "{said}");
}
