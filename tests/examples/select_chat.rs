//! The chat server as an explicit loop: sockets, timers, a channel and signals at one select, on
//! every back end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{ChildStdin, Command};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use selkie::selector::BackendKind;

use super::client::connect;
use super::process::{Program, example_path};

fn on_each_back_end(idle: &str, test: impl Fn(Program, ChildStdin)) {
    for kind in BackendKind::ALL {
        let mut command = Command::new(example_path("select_chat"));
        command.args(["127.0.0.1:0", idle]).env("SELKIE_BACKEND", kind.name());
        let (program, input) = Program::start_with_input(&mut command);
        test(program, input);
    }
}

fn line(client: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    client.read_line(&mut line).unwrap();
    line
}

#[test]
fn clients_and_the_console_talk_and_ctrl_c_ends_it_at_one_select() {
    on_each_back_end("60", |mut chat, mut input| {
        let address = chat.address();
        let [mut one, mut other] = [(); 2].map(|()| {
            let client = connect(address);
            let name = client.local_addr().unwrap();
            let mut client = BufReader::new(client);
            assert_eq!(line(&mut client), format!("* {name} joins\n"));
            (client, name)
        });
        assert_eq!(line(&mut one.0), format!("* {} joins\n", other.1));
        one.0.get_ref().write_all(b"hello\n").unwrap();
        assert_eq!(line(&mut other.0), format!("{}: hello\n", one.1));
        input.write_all(b"from the console\n").unwrap();
        for client in [&mut one, &mut other] {
            assert_eq!(line(&mut client.0), "* from the console\n");
        }
        drop(input); // The end of standard input ends its thread, not the chat.
        let gone = one.1;
        drop(one);
        assert_eq!(line(&mut other.0), format!("* {gone} leaves\n"));

        let before = chat.cpu_time();
        std::thread::sleep(Duration::from_millis(200));
        let used = chat.cpu_time() - before;
        assert!(used <= Duration::from_millis(50), "{used:?} of 200 ms without anything to do");
        assert_eq!(chat.threads(), 1);

        chat.signal(Signal::INT);
        let ended = chat.end();
        assert!(ended.status.success(), "{:?}", ended.err);
        assert_eq!(ended.out.last().unwrap(), "SIGINT: shutting down");
        assert_eq!(line(&mut other.0), "");
    });
}

#[test]
fn a_client_that_says_nothing_is_sent_away_when_its_time_is_up_and_no_sooner() {
    const IDLE: Duration = Duration::from_millis(100);
    on_each_back_end("0.1", |mut chat, _input| {
        let address = chat.address();
        let start = Instant::now();
        let mut client = connect(address);
        client.write_all(b"hello\n").unwrap();
        client.read_to_string(&mut String::new()).unwrap();
        assert!(start.elapsed() >= IDLE);
        chat.wait_for_line(&format!("* {} was idle", client.local_addr().unwrap()));
    });
}
