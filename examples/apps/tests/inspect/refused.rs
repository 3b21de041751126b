//! A recording in a file is read again, and what is none is refused.

use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;

use selkie::inspect::Recording;
use selkie::{Runtime, yield_now};

fn recorded() -> (Recording, Vec<u8>) {
    let runtime = Runtime::new().unwrap();
    let named = runtime.spawn_named("named \"so\"", yield_now());
    runtime.block_on(async { selkie::spawn(named).await });
    let (recording, mut bytes) = (runtime.recording(), Vec::new());
    recording.write_to(&mut bytes).unwrap();
    (recording, bytes)
}

#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let error = Recording::read_from(bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    error.to_string()
}

#[test]
fn what_was_saved_is_read_again() {
    let (recording, bytes) = recorded();
    let again = Recording::read_from(&*bytes).unwrap();
    assert!(again.entries().eq(recording.entries()));
    let mut traces = [Vec::new(), Vec::new()];
    recording.write_trace(&mut traces[0]).unwrap();
    again.write_trace(&mut traces[1]).unwrap();
    assert!(traces[0] == traces[1]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    recording.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn what_is_no_file_is_written_to_and_a_file_that_cannot_be_written_leaves_nothing() {
    let (recording, bytes) = recorded();
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    recording.save(&link).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    assert!(link.symlink_metadata().unwrap().is_symlink());

    // As /dev/stdout, which is not put at risk by a test.
    let (mut reader, writer) = std::io::pipe().unwrap();
    let pipe = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let saves = std::thread::spawn(move || {
        recording.save(pipe).unwrap();
        drop(writer);
        recording
    });
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert!(read == bytes);

    saves.join().unwrap().save(folder.path()).unwrap_err();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left");
}

#[test]
fn a_torn_recording_is_refused_wherever_it_is_torn() {
    let (_, bytes) = recorded();
    for len in 1..bytes.len() {
        let said = refused(&bytes[..len]);
        assert!(said.starts_with(&format!("this recording is torn: it ends after {len} bytes")));
    }
}

#[test]
fn what_is_old_damaged_or_no_recording_is_refused_with_a_sentence() {
    let (_, bytes) = recorded();
    assert!(refused(b"").starts_with("this is no recording of selkie"));
    assert!(refused(b"{\"traceEvents\":[]}").starts_with("this is no recording of selkie"));
    let mut old = bytes.clone();
    old[8] = 0;
    let said = refused(&old);
    assert!(said.contains("version 0, and this program reads version 1"), "{said}");
    for at in (24..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let said = refused(&damaged);
        // A damaged length reads as torn.
        assert!(said.contains("is damaged") || said.contains("is torn"), "{at}: {said}");
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(refused(&longer).contains("is damaged"));
}
