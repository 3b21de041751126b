//! The README's first command: both skins, and how fast they are.

use super::process::Program;

/// The columns of the line that begins so, as numbers; there may be words behind them.
fn figures(out: &[String], name: &str) -> Vec<f64> {
    let mut lines = out.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = lines.next().unwrap_or_else(|| panic!("no line {name:?}: {out:#?}"));
    line.split_whitespace().map_while(|word| word.replace(',', "").parse().ok()).collect()
}

#[test]
fn the_echo_example_prints_plain_lines_where_there_is_no_terminal() {
    let ended = Program::example("echo", &[]).end();
    assert!(ended.status.success() && ended.err.is_empty(), "{:?}", ended.err);
    assert!(!ended.out.concat().contains(char::is_control), "{:?}", ended.out);

    // The conversation: each side tells of two messages.
    let echoes = ended.out.iter().filter(|line| line.contains("  received b'")).count();
    assert_eq!(echoes, 4, "{:#?}", ended.out);

    // The figures, under the names of the skins: the explicit loop's, the tasks', and the ratio.
    let columns = |line: &String| Some(line.find("explicit loop")? < line.find("async tasks")?);
    assert!(ended.out.iter().filter_map(columns).any(|in_order| in_order), "{:#?}", ended.out);
    let [messages, rates, megabytes] =
        ["messages", "messages/s", "MB/s each way"].map(|name| figures(&ended.out, name));
    let &[explicit, tasks, ratio] = &rates[..] else { panic!("{rates:?}") };
    assert!((tasks / explicit - ratio).abs() < 0.01, "{rates:?}");
    assert_eq!([messages.len(), megabytes.len()], [2, 2]);
    for (rate, megabytes) in rates.iter().zip(megabytes) {
        assert!(
            (rate * 64.0 / 1e6 - megabytes).abs() < 0.06,
            "{rate} messages/s, {megabytes} MB/s"
        );
    }
    for (messages, rate) in messages.iter().zip(rates) {
        // Twenty rounds of an eighth of a second, and a little more until the last one is back.
        assert!(messages / rate > 2.49, "{messages} messages at {rate} a second");
    }
}
