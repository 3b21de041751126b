//! The HTTP server: each answer is whole, and belongs to its question.

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, sleep, timeout};
use selkie_sim::{Sim, check, check_repeats, sometimes};

use crate::{SECOND, goes_on_after_faults};

#[path = "../../src/bin/http_server.rs"]
#[allow(dead_code)]
mod program;

const SERVER: &str = "10.0.0.1:8080";

/// Has the server send `text` back. True if it did.
async fn echo(text: &str) -> io::Result<bool> {
    let mut stream = Async::<TcpStream>::connect(SERVER).await?;
    let head = "POST /echo HTTP/1.1\r\nHost: server\r\nConnection: close\r\n";
    let question = format!("{head}Content-Length: {}\r\n\r\n{text}", text.len());
    stream.write_all(question.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return Ok(false) };
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    // In chunks, since its length is not known: `5\r\nhello\r\n0\r\n\r\n`.
    let is_whole = body.ends_with("0\r\n\r\n") || !head.contains("chunked");
    assert!(!is_whole || body.contains(text), "{body:?} is the answer to {text:?}");
    Ok(is_whole)
}

fn http(sim: &mut Sim) {
    let address = SERVER.parse().unwrap();
    let mut hosts = vec![sim.host("server", move || program::serve(address))];
    let done: Arc<Mutex<u32>> = Arc::default();
    for client in 0..3 {
        let (name, done) = (format!("client{client}"), Arc::clone(&done));
        hosts.push(sim.host(name.as_str(), move || {
            let done = Arc::clone(&done);
            async move {
                for number in 0_u32.. {
                    let text = format!("question {number} of client {client}");
                    let ended = timeout(20 * SECOND, echo(&text)).await;
                    sometimes!(matches!(ended, Ok(Err(_))));
                    *done.lock().unwrap() += u32::from(matches!(ended, Ok(Ok(true))));
                    sleep(SECOND / 10).await;
                }
            }
        }));
    }
    goes_on_after_faults(sim, &hosts, &done, 100);
}

#[test]
fn an_http_server_answers_what_it_was_asked_whatever_goes_wrong() {
    check(0..8, http);
}

#[test]
fn an_http_server_takes_the_same_steps_for_a_seed() {
    check_repeats(3, http);
}
