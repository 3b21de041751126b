//! The recorder of an explicit loop.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use selkie::inspect::{Recorder, What};
use selkie::selector::BackendKind;
use selkie::{DefaultSelector, Events, Interest};

#[test]
fn an_explicit_loop_records_its_waits_and_how_long_each_key_takes() {
    for kind in BackendKind::ALL {
        let mut selector = DefaultSelector::<UnixStream, bool>::with_backend(kind.open().unwrap());
        let (recorder, mut events) = (Recorder::new(&selector), Events::new());
        let (mut one, near) = UnixStream::pair().unwrap();
        let (mut other, gone) = UnixStream::pair().unwrap();
        let numbers = [&near, &gone].map(|source| source.as_raw_fd() as u64 + 1);
        selector.register(near, Interest::READ, true).unwrap();
        selector.register(gone, Interest::READ, false).unwrap();
        one.write_all(b"x").unwrap();
        other.write_all(b"x").unwrap();
        for (key, _) in recorder.select(&mut selector, &mut events, None).unwrap() {
            (&selector[key].source).read_exact(&mut [0]).unwrap();
            if selector[key].data {
                thread::sleep(Duration::from_millis(5));
            } else {
                drop(selector.unregister(key).unwrap());
            }
            recorder.handled(&selector, key);
        }
        let nothing = recorder.select(&mut selector, &mut events, Some(Duration::ZERO)).unwrap();
        assert_eq!(nothing.count(), 0);

        let recording = recorder.recording(&selector);
        let kinds: Vec<_> = recording
            .entries()
            .map(|entry| match entry.what {
                What::Event { .. } => "event",
                What::Wait { .. } => "wait",
                What::Poll { .. } => "handled",
                What::Turn { polls: 2, .. } => "turn of two",
                what => panic!("{what:?}"),
            })
            .collect();
        let expected = ["event", "event", "wait", "handled", "handled", "turn of two", "wait"];
        assert_eq!(kinds, expected, "{kind:?}");
        for entry in recording.entries() {
            if let What::Poll { task, took } = entry.what {
                assert!(numbers.contains(&task.get()), "{entry}");
                assert!(task.get() != numbers[0] || took >= Duration::from_millis(5), "{entry}");
                let is_named = recording.name(task).is_some();
                assert_eq!(is_named, task.get() == numbers[0], "the other one is gone");
            }
        }
        let mut trace = Vec::new();
        recording.write_trace(&mut trace).unwrap();
        let trace = String::from_utf8(trace).unwrap();
        assert!(trace.contains(&format!("\"fd {}: Unix stream\"", numbers[0] - 1)), "{trace}");
    }
}
