//! A process with a runtime that starts others. What `fork` gives away, `exec` takes back: every
//! descriptor is close-on-exec. And a fork without exec, in the one form that is safe to call,
//! daemon(3): the parent exits at once, and the child goes on with the runtime. (That both go on
//! is not tested: they would share the kernel's set of registrations, see the crate's docs.)

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio, exit};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use nix::unistd::{alarm, daemon};
use selkie::{Async, Builder, Runtime, sleep_until, spawn, timeout};

use crate::child::role;
use crate::harness::{Log, bytes_of, echo_server, listener, other_process, tell, until};
use crate::util::{DEADLINE, backend, open_descriptors};

loads! {
    children_inherit_no_descriptor_while_connections_come_and_go,
    a_runtime_goes_on_in_the_child_of_a_fork_whose_parent_exits,
}

/// Connections of the process, and children that it starts.
const CONNECTIONS: usize = 50;
const CHILDREN: usize = 20;

/// The descriptors that a child of this process has.
fn inherited() -> BTreeSet<u32> {
    let listed = Command::new("ls").arg("/proc/self/fd").stdin(Stdio::null()).output().unwrap();
    assert!(listed.status.success());
    String::from_utf8(listed.stdout).unwrap().lines().map(|fd| fd.parse().unwrap()).collect()
}

/// A child that lives until it is dropped, and does nothing.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        let mut command = Command::new("sleep");
        Self(command.arg("100").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn talk(client: &mut Async<TcpStream>, place: u64) {
    let (message, mut echo) = (bytes_of(2, place, 300), [0; 300]);
    client.write_all(&message).await.unwrap();
    client.read_exact(&mut echo).await.unwrap();
    assert!(message == echo, "other bytes at {place}");
}

fn children_inherit_no_descriptor_while_connections_come_and_go() {
    let before = inherited();
    let runtime = Builder::new().timer_fd(backend_has_descriptor()).build().unwrap();
    let load = async {
        let (listener, address) = listener();
        let log = Rc::new(Log::default());
        let _server = echo_server::<512>(listener, &log);
        let descriptors = open_descriptors();
        let _pair = Async::<UnixStream>::pair().unwrap();
        let mut clients = Vec::new();
        for place in 0..CONNECTIONS as u64 {
            let mut client = Async::<TcpStream>::connect(address).await.unwrap();
            talk(&mut client, place).await;
            clients.push(client);
        }
        assert_eq!(open_descriptors(), descriptors + 2 + 2 * CONNECTIONS);
        let mut children = Vec::new();
        for number in 0..CHILDREN {
            assert_eq!(inherited(), before, "child {number} has more than its three");
            children.push(Sleeper::start());
            // Closed here, it is closed: no child keeps it open, and the server sees the end.
            drop(clients.pop());
            until(|| log.finished.get() == number + 1).await;
            for client in &mut clients {
                talk(client, number as u64).await;
            }
        }
        (CHILDREN, log.bytes.get())
    };
    let (children, bytes) = runtime.block_on(timeout(2 * DEADLINE, load)).unwrap();
    tell(format_args!(
        "{}: {} children with {} descriptors each, as before there was a runtime; {children} \
         connections closed beside as many that live, {bytes} bytes echoed",
        backend().name(),
        2 * children,
        before.len()
    ));
}

fn backend_has_descriptor() -> bool {
    backend().name() == "epoll" || backend().name() == "polling" && !cfg!(polling_test_poll_backend)
}

fn a_runtime_goes_on_in_the_child_of_a_fork_whose_parent_exits() {
    if role().as_deref() == Some("daemon") {
        become_a_daemon();
    }
    let mut parent = other_process("daemon").stdout(Stdio::piped()).spawn().unwrap();
    let mut output = parent.stdout.take().unwrap();
    let status = parent.wait().unwrap();
    assert!(status.success(), "{status}");
    // Until the daemon, which has it too, has ended: by itself, or by its alarm.
    let mut said = String::new();
    output.read_to_string(&mut said).unwrap();
    let line = said.lines().find_map(|line| line.strip_prefix("> it "));
    let line = line.unwrap_or_else(|| panic!("the child has not gone on:\n{said}"));
    tell(format_args!("{}: after a fork {line}", backend().name()));
}

/// Seconds after which the daemon is ended by a signal, if it has not ended by itself.
const BOUND: u32 = 20;

/// Makes everything, forks, and goes on with it.
fn become_a_daemon() -> ! {
    let runtime = Runtime::new().unwrap();
    let log = Rc::new(Log::default());
    let (address, mut client, timer) = runtime.block_on(async {
        let (listener, address) = listener();
        echo_server::<512>(listener, &log).detach();
        let mut client = Async::<TcpStream>::connect(address).await.unwrap();
        talk(&mut client, 0).await;
        let due = Instant::now() + Duration::from_millis(200);
        (address, client, spawn(sleep_until(due)))
    });
    let parent = std::process::id();
    daemon(true, true).unwrap();
    alarm::set(BOUND);
    assert_ne!(std::process::id(), parent);
    let remote = runtime.remote();
    let elsewhere = thread::spawn(move || {
        let task = remote.spawn(|| async { 42 }).unwrap();
        futures::executor::block_on(task)
    });
    let done = runtime.block_on(timeout(DEADLINE, async {
        talk(&mut client, 1).await;
        let mut another = Async::<TcpStream>::connect(address).await.unwrap();
        talk(&mut another, 2).await;
        timer.await;
        drop((client, another));
        until(|| log.finished.get() == 2).await;
    }));
    done.expect("the runtime goes on");
    // The remote's task needs the loop; the loop ends when it is done.
    runtime.block_on(async { until(|| elsewhere.is_finished()).await });
    assert_eq!(elsewhere.join().unwrap(), 42);
    tell("it served an old connection and a new one, fired an old timer, and took a remote task");
    std::io::stdout().flush().unwrap();
    exit(0);
}
