//! A runtime that is asked from outside, on a socket.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use selkie::inspect::{listen, serve};
use selkie::sleep;

use crate::util::{DEADLINE, run_on, runtime};

/// A folder that is removed with this.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("selkie-inspect-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Asks as `nc -U` would; blocks.
fn ask(path: &Path, question: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(question.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn whoever_may_connect_is_answered_with_table_and_numbers() {
    let (runtime, folder) = (runtime(), Folder::new("answers"));
    let path = folder.socket();
    let listener = runtime.enter(|| listen(&path).unwrap());
    runtime.spawn_named("inspect", serve(listener)).detach();
    runtime.spawn_named("sleeper", sleep(6 * DEADLINE)).detach();
    let client = thread::spawn(move || {
        // One that hangs up is no harm to the next one.
        drop(UnixStream::connect(&path).unwrap());
        ["tasks\n", "metrics\r\n", "weather\n", &"x".repeat(1000), "trace\n"]
            .map(|question| ask(&path, question))
    });
    let answers = runtime.spawn(async move {
        while !client.is_finished() {
            sleep(std::time::Duration::from_millis(1)).await;
        }
        client.join().unwrap()
    });
    let [tasks, metrics, weather, long, trace] = run_on(&runtime, answers);
    assert!(tasks.contains("sleeper") && !tasks.contains("inspect.rs"), "{tasks}");
    assert!(!tasks.contains("  inspect  "), "who answers is left out: {tasks}");
    assert!(metrics.contains("\nselkie_tasks "), "{metrics}");
    assert!(weather.starts_with("error: \"weather\" is not known here; ask for "), "{weather}");
    assert!(long.starts_with("error: "), "{long}");
    match cfg!(feature = "record") {
        true => assert!(trace.contains("\"traceEvents\""), "{trace}"),
        false => assert!(trace.starts_with("error: nothing is recorded: "), "{trace}"),
    }
}

#[test]
fn clients_that_say_nothing_keep_nobody_waiting() {
    let (runtime, folder) = (runtime(), Folder::new("silent"));
    let path = folder.socket();
    let listener = runtime.enter(|| listen(&path).unwrap());
    let serves = runtime.spawn(serve(listener));
    let silent = [(); 3].map(|()| UnixStream::connect(&path).unwrap());
    (&silent[0]).write_all(b"half a li").unwrap();
    // Until they are all given up, this one's own time to wait would be over.
    let asks = thread::spawn(move || ask(&path, "tasks\n"));
    run_on(&runtime, async {
        while !asks.is_finished() {
            sleep(std::time::Duration::from_millis(1)).await;
        }
    });
    drop((serves, silent));
    assert!(asks.join().unwrap().starts_with("1 task: "));
}

#[test]
fn the_socket_is_its_owners_and_one_that_was_left_behind_is_replaced() {
    let (runtime, folder) = (runtime(), Folder::new("socket"));
    let path = folder.socket();
    run_on(&runtime, async {
        let listener = listen(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(listen(&path).unwrap_err().kind(), ErrorKind::AddrInUse, "somebody listens");
        drop(listener);
        drop(listen(&path).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        assert_eq!(listen(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(fs::read(&path).unwrap(), b"a file", "it is left alone");
    });
}

#[test]
fn a_listener_of_the_programs_own_does_as_well() {
    let (runtime, folder) = (runtime(), Folder::new("own"));
    let path = folder.socket();
    let listener = UnixListener::bind(&path).unwrap();
    let listener = runtime.enter(|| selkie::Async::new(listener).unwrap());
    let asks = thread::spawn(move || ask(&path, "tasks\n"));
    let serves = runtime.spawn(serve(listener));
    run_on(&runtime, async {
        while !asks.is_finished() {
            sleep(std::time::Duration::from_millis(1)).await;
        }
    });
    drop(serves);
    assert!(asks.join().unwrap().starts_with("1 task: "));
}
