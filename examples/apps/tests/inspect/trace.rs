//! The trace that Perfetto and Chrome open is what they expect.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use selkie::inspect::What;
use selkie::{Runtime, yield_now};

/// Python reads the JSON, as another program than ours: one line for each event, with what the
/// checks need.
const PRINT: &str = "
import json, sys
for event in json.load(open(sys.argv[1]))['traceEvents']:
    print(event['ph'], event['tid'], event.get('ts', 0), event.get('dur', 0), event.get('id', -1),
          event['args'].get('name', '') if event['ph'] == 'M' else event['name'], sep='\\t')
";

struct Event {
    kind: String,
    track: u64,
    begin: f64,
    end: f64,
    id: i64,
    name: String,
}

fn parse(line: &str) -> Event {
    let fields: Vec<_> = line.split('\t').collect();
    let begin: f64 = fields[2].parse().unwrap();
    Event {
        kind: fields[0].to_owned(),
        track: fields[1].parse().unwrap(),
        begin,
        end: begin + fields[3].parse::<f64>().unwrap(),
        id: fields[4].parse().unwrap(),
        name: fields[5].to_owned(),
    }
}

#[test]
fn a_trace_is_json_with_a_track_for_each_task_and_arrows_that_end_in_polls() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let first = selkie::spawn_named("first \"\\\n", async {
            yield_now().await;
            selkie::sleep(std::time::Duration::from_millis(1)).await;
        });
        selkie::spawn_named("second", first).await;
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.json");
    let recording = runtime.recording();
    recording.save_trace(&path).unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", PRINT]).arg(&path).stderr(Stdio::inherit());
    let out = String::from_utf8(python.output().unwrap().stdout).unwrap().replace("\\\n\t", "");
    // A name with a new line in it is two lines here.
    let lines = out.lines().filter(|line| line.split('\t').count() == 6);
    let events: Vec<_> = lines.map(parse).collect();

    let polls = recording.entries().filter(|entry| matches!(entry.what, What::Poll { .. }));
    let slices =
        |track: u64| events.iter().filter(move |event| event.kind == "X" && event.track == track);
    let task_slices = (2..10).flat_map(slices).count();
    assert_eq!(task_slices, polls.count());
    assert!(slices(1).any(|slice| slice.name == "wait"), "{out}");
    for turn in slices(1).filter(|slice| slice.name == "turn") {
        let before =
            slices(1).find(|slice| slice.name == "wait" && slice.end <= turn.begin + 0.0015);
        assert!(before.is_some(), "a turn begins with a wait's end: {out}");
    }

    let mut arrows: BTreeMap<i64, Vec<&Event>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.id >= 0) {
        arrows.entry(event.id).or_default().push(event);
    }
    assert!(arrows.len() >= 4, "two spawns, a timer, an end: {out}");
    for arrow in arrows.values() {
        let [from, to] = arrow[..] else { panic!("an arrow has two ends: {out}") };
        assert_eq!((&*from.kind, &*to.kind), ("s", "f"));
        assert!(from.begin <= to.begin, "{out}");
        let poll = slices(to.track).find(|poll| (poll.begin - to.begin).abs() < 0.0015);
        assert!(poll.is_some(), "an arrow ends at a poll's beginning: {out}");
    }
    let names: Vec<_> = events.iter().filter(|event| event.kind == "M").map(|m| &*m.name).collect();
    assert!(names.contains(&"loop"), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("#2 second (")), "{names:?}");
}
