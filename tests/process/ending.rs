//! Waiting for the end of a child, and bringing it about.

use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use rustix::process::Signal;
use selkie::process::{Child, Command};
use selkie::selector::{Backend, BackendKind, ReadyList, Token, Until, Wrapped, Wrapper};
use selkie::{Builder, Interest, Mode, Readiness, sleep, timeout};

use crate::alone::{alone, command};
use crate::util::{Stepped, Watcher, run};
use crate::{assert_childless, child, liar, shell};

/// A child that ends when its input is closed, and not before; it runs already.
async fn started_cat() -> Child {
    let mut command = Command::new("cat");
    let mut cat = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    cat.stdin.as_mut().unwrap().write_all(b"!").await.unwrap();
    cat.stdout.as_mut().unwrap().read_exact(&mut [0]).await.unwrap();
    cat
}

#[test]
fn a_wait_that_is_given_up_loses_no_status() {
    alone(|| {
        run(async || {
            let mut cat = started_cat().await;
            let input = cat.stdin.take();
            for _ in 0..3 {
                assert!(timeout(Duration::from_millis(1), cat.wait()).await.is_err());
            }
            drop(input);
            let status = cat.wait().await.unwrap();
            assert!(status.success());
            assert_eq!(cat.wait().await.unwrap(), status, "it is kept");
            assert_eq!(cat.try_wait().unwrap(), Some(status));
        });
        assert_childless();
    });
}

#[test]
fn to_try_waits_for_nothing_and_closes_nothing() {
    alone(|| {
        run(async || {
            let mut cat = started_cat().await;
            assert_eq!(cat.try_wait().unwrap(), None);
            assert!(cat.stdin.is_some());
            drop(cat.stdin.take());
            let status = loop {
                if let Some(status) = cat.try_wait().unwrap() {
                    break status;
                }
                sleep(Duration::from_millis(1)).await;
            };
            assert_eq!(cat.wait().await.unwrap(), status);
        });
        assert_childless();
    });
}

#[test]
fn the_loop_sleeps_until_the_child_ends() {
    alone(|| {
        let _quiet = liar::only_hidden_lies("nothing may happen by itself");
        let (stepped, watcher) = (Stepped::new(), Watcher::new());
        let mut cat = stepped.finish(pin!(started_cat()), &watcher);
        let input = cat.stdin.take();
        let mut wait = pin!(cat.wait());
        assert!(stepped.poll(wait.as_mut(), &watcher).is_pending());
        stepped.settle();
        stepped.assert_idle();
        drop(input);
        assert!(stepped.finish(wait, &watcher).unwrap().success());
    });
}

/// Reports each descriptor as readable and writable, at each wait.
#[derive(Default)]
struct Spurious(Vec<Token>);

impl<B: Backend> Wrapper<B> for Spurious {
    unsafe fn register(
        &mut self,
        inner: &mut B,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> std::io::Result<()> {
        self.0.push(token);
        // SAFETY: it is the caller's promise, handed on.
        unsafe { inner.register(token, fd, interest, mode) }
    }

    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> std::io::Result<()> {
        inner.wait(ready, until.at_most(Duration::from_millis(1), Instant::now))?;
        for token in &self.0 {
            if !ready.is_full() {
                ready.push(*token, Readiness::READ | Readiness::WRITE);
            }
        }
        Ok(())
    }
}

#[test]
fn a_spurious_wake_of_the_pidfd_is_no_exit() {
    alone(|| {
        let inner = BackendKind::Epoll.open().unwrap();
        let lying = Wrapped { inner, wrapper: Spurious::default() };
        let runtime = Builder::new().build_with(Box::new(lying)).unwrap();
        runtime.block_on(async {
            let mut cat = started_cat().await;
            let input = cat.stdin.take();
            let waited = timeout(Duration::from_millis(30), cat.wait()).await;
            assert!(waited.is_err(), "it was taken for ended");
            drop(input);
            assert!(cat.wait().await.unwrap().success());
        });
        assert_childless();
    });
}

#[test]
fn children_of_a_loop_that_is_lied_to_end_as_they_do() {
    let test = || {
        run(async || {
            for code in 0..10 {
                let output = shell(&format!("echo {code}; exit {code}")).output().await.unwrap();
                assert_eq!(output.status.code(), Some(code));
                assert_eq!(output.stdout, format!("{code}\n").as_bytes());
            }
        });
        assert_childless();
    };
    if child::role().is_some() {
        return test();
    }
    for seed in 1..=5 {
        child::run(command(&test).env("SELKIE_LIES", seed.to_string()));
    }
}

#[test]
fn a_child_can_be_killed_and_again_after_its_end() {
    alone(|| {
        run(async || {
            let mut sleeper = shell("exec sleep 60").spawn().unwrap();
            sleeper.kill().unwrap();
            let status = sleeper.wait().await.unwrap();
            assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
            sleeper.kill().unwrap();
            sleeper.send_signal(15).unwrap();

            // Also when it has ended and nobody knows yet.
            let mut cat = started_cat().await;
            cat.stdin = None;
            assert_eq!(cat.stdout.as_mut().unwrap().read(&mut [0]).await.unwrap(), 0);
            cat.kill().unwrap();
            cat.wait().await.unwrap();
        });
        assert_childless();
    });
}

#[test]
fn a_child_can_be_sent_any_signal() {
    alone(|| {
        run(async || {
            for signal in [Signal::TERM.as_raw(), Signal::USR1.as_raw(), 34, 40, 64] {
                let mut cat = started_cat().await;
                cat.send_signal(signal).unwrap();
                assert_eq!(cat.wait().await.unwrap().signal(), Some(signal));
            }
            let mut cat = started_cat().await;
            for number in [-1, 0, 65, 4711] {
                let error = cat.send_signal(number).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
                assert!(
                    error.to_string().starts_with(&format!("{number} is no signal")),
                    "{error}"
                );
            }
            assert!(cat.wait().await.unwrap().success());
        });
    });
}

#[cfg(feature = "signal")]
#[test]
fn a_child_can_be_sent_a_signal_by_its_name() {
    alone(|| {
        run(async || {
            let mut cat = started_cat().await;
            cat.send_signal(selkie::signal::SIGTERM).unwrap();
            assert_eq!(cat.wait().await.unwrap().signal(), Some(15));
        });
    });
}

#[test]
fn a_grandchild_that_keeps_the_pipes_open_does_not_hold_the_wait_up() {
    alone(|| {
        run(async || {
            let mut command = shell("sleep 60 & echo $!; exit 3");
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            assert_eq!(child.wait().await.unwrap().code(), Some(3));
            // Whoever reads to the end waits for the grandchild, as with std.
            let mut bytes = [0; 16];
            let len = child.stdout.as_mut().unwrap().read(&mut bytes).await.unwrap();
            let grandchild: i32 =
                std::str::from_utf8(&bytes[..len]).unwrap().trim().parse().unwrap();
            let gathered = timeout(Duration::from_millis(20), child.wait_with_output());
            assert!(gathered.await.is_err());
            let grandchild = rustix::process::Pid::from_raw(grandchild).unwrap();
            rustix::process::kill_process(grandchild, Signal::KILL).unwrap();
        });
    });
}

#[test]
fn children_that_end_as_they_are_killed_on_drop_leave_no_zombie() {
    alone(|| {
        run(async || {
            for round in 0..100 {
                let mut child = shell("exit 0").kill_on_drop(true).spawn().unwrap();
                for _ in 0..round % 4 {
                    sleep(Duration::from_micros(300)).await;
                    if round % 8 < 4 {
                        let _ = child.try_wait().unwrap();
                    }
                }
            }
        });
        // Those that were killed are waited for, by the loop or with it.
        assert_childless();
    });
}
