//! `chat`: everybody gets every line, but who does not read loses some, and nobody waits for that.

use std::process::Command;

use rustix::process::Signal;

use crate::foreign::{content, python};
use crate::process::Program;

#[test]
fn a_slow_client_of_the_chat_loses_lines_and_is_told_so_while_the_others_get_them_all() {
    let Some(mut script) = python("chat.py", "socket") else { return };
    let mut chat = Program::start(Command::new(env!("CARGO_BIN_EXE_chat")).arg("127.0.0.1:0"));
    let address = chat.address();
    let out = content(script.args([address.ip().to_string(), address.port().to_string()]));
    let lost: u32 = out.last().unwrap().strip_prefix("lost ").unwrap().parse().unwrap();
    assert!(lost > 0);
    assert_eq!(chat.threads(), 1);
    chat.signal(Signal::TERM);
    let ended = chat.end();
    assert!(ended.status.success(), "{:?}", ended.err);
    assert_eq!(ended.out.last().unwrap(), "shutting down, 0 clients");
}
