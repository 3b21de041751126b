//! The chat: lines of each client come in order, each once.

use std::collections::HashMap;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::io::BufReader;
use futures::{AsyncBufReadExt, AsyncWriteExt};
use selkie::{Async, sleep};
use selkie_sim::{Sim, check, check_repeats, sometimes};

use crate::{SECOND, goes_on_after_faults};

#[path = "../../src/bin/chat.rs"]
#[allow(dead_code)]
mod program;

const SERVER: &str = "10.0.0.1:9999";

/// Says numbers, and looks at those of the others. Returns how many lines it has heard.
async fn talk(heard: &Mutex<u32>) -> io::Result<()> {
    let stream = Async::<TcpStream>::connect(SERVER).await?;
    let writer = stream.clone();
    let saying = selkie::spawn(async move {
        for number in 0_u32.. {
            (&writer).write_all(format!("{number}\n").as_bytes()).await?;
            sleep(Duration::from_millis(50)).await;
        }
        io::Result::Ok(())
    });
    let mut lines = BufReader::new(&stream);
    let mut last: HashMap<String, u32> = HashMap::new();
    let mut line = String::new();
    while lines.read_line(&mut line).await? > 0 {
        // `10.0.0.2:49152 says: 7`; others join, leave, or are told that they read too slowly.
        if let Some((from, number)) = line.trim_end().split_once(" says: ") {
            let number = number.parse().expect("a whole number");
            let before = last.insert(from.to_owned(), number);
            assert!(before.is_none_or(|before| before < number), "{before:?}, then {line}");
            *heard.lock().unwrap() += 1;
        }
        line.clear();
    }
    drop(saying);
    Ok(())
}

fn chat(sim: &mut Sim) {
    let address = SERVER.parse().unwrap();
    let mut hosts = vec![sim.host("server", move || program::serve(address))];
    let heard: Arc<Mutex<u32>> = Arc::default();
    for client in 0..3 {
        let (name, heard) = (format!("client{client}"), Arc::clone(&heard));
        hosts.push(sim.host(name.as_str(), move || {
            let heard = Arc::clone(&heard);
            async move {
                loop {
                    let ended = talk(&heard).await;
                    sometimes!(ended.is_err());
                    sleep(SECOND / 4).await;
                }
                #[expect(unreachable_code)]
                ()
            }
        }));
    }
    goes_on_after_faults(sim, &hosts, &heard, 100);
}

#[test]
fn lines_of_a_chat_come_in_order_whatever_goes_wrong() {
    check(0..8, chat);
}

#[test]
fn a_chat_takes_the_same_steps_for_a_seed() {
    check_repeats(3, chat);
}
