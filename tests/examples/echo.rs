//! The README's first command.

use super::process::Program;

#[test]
fn the_echo_example_prints_plain_lines_where_there_is_no_terminal() {
    let ended = Program::example("echo", &[]).end();
    assert!(ended.status.success() && ended.err.is_empty(), "{:?}", ended.err);
    assert!(!ended.out.concat().contains(char::is_control), "{:?}", ended.out);
    let echoes = ended.out.iter().filter(|line| line.contains("  received b'")).count();
    assert_eq!(echoes, 4, "{:#?}", ended.out);
    let figures = ended.out.last().unwrap();
    for unit in ["messages, ", "messages/s, ", "MB/s each way, ", "back end "] {
        assert!(figures.contains(unit), "{figures}");
    }
}
