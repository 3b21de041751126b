//! `postgres`, with a real server: started here, in a folder of its own, and ended.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::foreign::{content, output, skip};
use crate::process::{Program, Stream};

/// The newest version that Debian's packages have put where they put it.
fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin")).filter(|bin| bin.exists()).max()
}

struct Database {
    bin: PathBuf,
    folder: tempfile::TempDir,
    /// It refuses to run as root: then the user that its package has made.
    user: Option<(u32, u32)>,
}

impl Database {
    fn create() -> Option<Self> {
        let Some(bin) = binaries() else {
            skip("PostgreSQL server");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().is_root().then(|| {
            let id = |which| {
                let id = output(Command::new("id").args([which, "postgres"]));
                String::from_utf8(id).unwrap().trim().parse().unwrap()
            };
            (id("-u"), id("-g"))
        });
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let database = Self { bin, folder, user };
        let mut command = database.command("initdb");
        command.args(["--username=selkie", "--auth=trust", "--no-sync", "--locale=C", "-D"]);
        content(command.arg(database.data()));
        Some(database)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir(Path::new("/"));
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Starts the server. Somebody else may get the port first: then on another one.
    fn serve(&self) -> (Program, String) {
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut command = self.command("postgres");
            command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
            command.args(["-p", &free.port().to_string(), "-h", "127.0.0.1", "-F"]);
            let mut program = Program::start(&mut command);
            let told = program.wait_for(Stream::Err, |line| {
                line.contains("ready to accept connections") || line.contains("FATAL")
            });
            if told.contains("ready") {
                return (program, free.to_string());
            }
        }
        panic!("there is no free port");
    }
}

#[test]
fn queries_of_a_real_server_run_over_the_adapter_on_one_thread() {
    let Some(database) = Database::create() else { return };
    let (mut server, address) = database.serve();
    let out = content(Command::new(env!("CARGO_BIN_EXE_postgres")).args([&address, "selkie"]));
    let [version, sum, slow, told, rows] = &out[..] else { panic!("{out:#?}") };
    assert!(version.starts_with("server version "), "{version}");
    assert_eq!(sum, "the first hundred squares add up to 338350");
    assert_eq!(slow, "too slow: canceling statement due to user request");
    assert_eq!(told, "notified on news: it works");
    assert_eq!(rows, "100000 rows came one by one");
    server.signal(Signal::INT);
    server.wait_for(Stream::Err, |line| line.contains("database system is shut down"));
}
