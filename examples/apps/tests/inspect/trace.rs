//! The trace that Perfetto and Chrome open is what they expect.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use selkie::inspect::What;
use selkie::{Runtime, yield_now};

/// Python reads the JSON, as another program than ours: one line for each event, with what the
/// checks need.
const PRINT: &str = "
import json, sys
for event in json.load(open(sys.argv[1]))['traceEvents']:
    print(event['ph'], event['tid'], event.get('ts', 0), event.get('dur', 0), event.get('id', -1),
          (event['args'].get('name', '') if event['ph'] == 'M' else event['name']).replace('\\n', ' '),
          sep='\\t')
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

const TASKS: u64 = 4;

fn track_name(track: u64) -> String {
    match track {
        1 => "loop".to_owned(),
        3 => "other code".to_owned(),
        task => format!("#{}", task - TASKS),
    }
}

/// From which slice to which each arrow goes, as Perfetto finds them (flow_tracker.cc,
/// slice_tracker.cc): it takes all events by their times, and of one time in the order of the file; an
/// end of an arrow belongs to the latest slice of its track, be that over or not, and an arrow whose
/// end comes before its beginning is lost. Insists that the slices do not overlap, and have not ended.
#[track_caller]
fn arrows_in_perfetto(events: &[Event]) -> Vec<(&Event, &Event)> {
    let mut sorted: Vec<_> = events.iter().filter(|event| event.kind != "M").collect();
    sorted.sort_by(|one, other| one.begin.total_cmp(&other.begin));
    let (mut open, mut from) = (BTreeMap::<u64, Vec<&Event>>::new(), BTreeMap::new());
    let mut arrows = Vec::new();
    for event in sorted {
        let open = open.entry(event.track).or_default();
        let is_instant = |event: &Event| event.end <= event.begin;
        let near = 0.0005;
        match &*event.kind {
            "X" | "i" => {
                open.retain(|slice| {
                    let is_over = slice.end < event.begin + near;
                    !is_over || (is_instant(slice) && is_instant(event) && slice.end == event.begin)
                });
                let fits = open.iter().all(|slice| event.end <= slice.end + near);
                assert!(fits, "{} at {} overlaps another", event.name, event.begin);
                open.push(event);
            }
            kind => {
                let slice = *open.last().unwrap_or_else(|| panic!("no slice at {}", event.begin));
                assert_eq!(slice.kind, "X", "an arrow in an instant at {}", event.begin);
                assert!(event.begin < slice.end + near, "a slice that is over at {}", event.begin);
                match kind {
                    "s" => assert!(from.insert(event.id, slice).is_none()),
                    "f" => arrows.push((from[&event.id], slice)),
                    kind => panic!("{kind} is new here"),
                }
            }
        }
    }
    arrows
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
    let outside = runtime.spawn(async {});
    runtime.block_on(outside);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.json");
    let recording = runtime.recording();
    recording.save_trace(&path).unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", PRINT]).arg(&path).stderr(Stdio::inherit());
    let out = String::from_utf8(python.output().unwrap().stdout).unwrap();
    let events: Vec<_> = out.lines().map(parse).collect();

    let polls = recording.entries().filter(|entry| matches!(entry.what, What::Poll { .. }));
    let slices =
        |track: u64| events.iter().filter(move |event| event.kind == "X" && event.track == track);
    let task_slices = (TASKS..TASKS + 10).flat_map(slices).count();
    assert_eq!(task_slices, polls.count());
    assert!(slices(1).any(|slice| slice.name == "wait"), "{out}");
    for turn in slices(1).filter(|slice| slice.name == "turn") {
        let before =
            slices(1).find(|slice| slice.name == "wait" && slice.end <= turn.begin + 0.0015);
        assert!(before.is_some(), "a turn begins with a wait's end: {out}");
    }

    let arrows = arrows_in_perfetto(&events);
    let starts = events.iter().filter(|event| event.kind == "s").count();
    assert_eq!(arrows.len(), starts, "each arrow has two ends: {out}");
    let told: BTreeSet<_> = arrows
        .iter()
        .map(|(from, to)| {
            assert!(from.begin <= to.begin && to.track >= TASKS, "it ends in a poll: {out}");
            (track_name(from.track), from.name.clone(), track_name(to.track))
        })
        .collect();
    let of = |from: &str, slice: &str, to| (from.to_owned(), slice.to_owned(), format!("#{to}"));
    let expected = [
        // The future of `block_on` spawns both, and is woken by the second one at its end.
        of("#0", "poll", 1),
        of("#0", "poll", 2),
        of("#1", "first \"\\ ", 1),
        of("#1", "first \"\\ ", 2),
        of("#2", "second", 0),
        of("loop", "turn", 1),
        of("other code", "other code", 3),
        of("#3", "poll", 0),
    ];
    assert_eq!(told, expected.into_iter().collect(), "{out}");
    let spawned = events.iter().filter(|event| event.kind == "s" && event.name == "spawn");
    assert_eq!(spawned.count(), 3);
    let ends: Vec<_> = events.iter().filter(|event| event.name == "end").collect();
    for end in &ends {
        let poll = slices(end.track).find(|poll| (poll.end - end.begin).abs() < 0.0005);
        assert!(poll.is_some(), "a task ends with its last poll: {out}");
    }
    assert_eq!(ends.len(), 3);

    let names: Vec<_> = events.iter().filter(|event| event.kind == "M").map(|m| &*m.name).collect();
    assert!(names.contains(&"loop"), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("#2 second (")), "{names:?}");
}
