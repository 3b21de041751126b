//! What std's `Command` can be told.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek};
use std::process::{ExitStatus, Output, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{getpgrp, getuid};
use selkie::process::Command;

use crate::alone::alone;
use crate::util::run;
use crate::{assert_childless, shell};

/// What the script prints to standard output.
async fn says(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    assert!(status.success() && stderr.is_empty(), "{status}: {}", stderr.escape_ascii());
    String::from_utf8(stdout).unwrap().trim_end().to_owned()
}

#[test]
fn output_gathers_both_outputs_and_the_status() {
    alone(|| {
        run(async || {
            let output = shell("echo out; echo err >&2; exit 3").output().await.unwrap();
            assert_eq!(output.status.code(), Some(3));
            assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], &b"err\n"[..]));
        });
        assert_childless();
    });
}

#[test]
fn a_status_is_the_same_as_stds() {
    use std::os::unix::process::ExitStatusExt;

    alone(|| {
        run(async || {
            let by_std = |script: &str| {
                std::process::Command::new("sh").args(["-c", script]).status().unwrap()
            };
            for script in
                ["exit 0", "exit 1", "exit 255", "kill -TERM $$", "ulimit -c 0; kill -ABRT $$"]
            {
                let status: ExitStatus = shell(script).status().await.unwrap();
                assert_eq!(status, by_std(script), "{script}");
                assert_eq!(status.core_dumped(), by_std(script).core_dumped(), "{script}");
            }
        });
        assert_childless();
    });
}

#[test]
fn arguments_and_their_zeroth_are_given_as_they_are() {
    alone(|| {
        run(async || {
            let mut command = Command::new("sh");
            command
                .arg0("a name")
                .args(["-c", r#"echo "$0|$1|$2""#])
                .arg("zero")
                .args(["a b", "*"]);
            assert_eq!(says(&mut command).await, "zero|a b|*");
            assert_eq!(command.get_program(), "sh");
            assert_eq!(command.get_args().nth(2), Some(OsStr::new("zero")));
            assert_eq!(says(Command::new("cat").arg0("dog").arg("/proc/self/comm")).await, "cat");
            let mut head = Command::new("head");
            assert_eq!(says(head.arg0("dog").args(["-c3", "/proc/self/cmdline"])).await, "dog");
        });
    });
}

#[test]
fn the_environment_is_changed_as_it_is_told() {
    alone(|| {
        run(async || {
            let script = r#"echo "$A|$B|$HOME""#;
            let mut command = shell(script);
            command.env("A", "1").envs([("B", "2"), ("C", "3")]).env_remove("HOME");
            assert_eq!(says(&mut command).await, "1|2|");
            assert!(command.get_envs().any(|(key, value)| key == "HOME" && value.is_none()));
            assert_eq!(says(Command::new("/usr/bin/env").env_clear().env("A", "b")).await, "A=b");
        });
    });
}

#[test]
fn the_working_directory_is_changed_as_it_is_told() {
    alone(|| {
        run(async || {
            let mut command = shell("pwd");
            assert_eq!(says(command.current_dir("/proc")).await, "/proc");
            assert_eq!(command.get_current_dir(), Some("/proc".as_ref()));
        });
    });
}

#[test]
fn user_group_and_process_group_are_changed_as_they_are_told() {
    alone(|| {
        run(async || {
            let group = says(shell("cut -d' ' -f5 /proc/$$/stat").process_group(0)).await;
            assert_ne!(group, getpgrp().to_string());
            if getuid().is_root() {
                assert_eq!(says(shell("id -u; id -g").uid(65534).gid(65533)).await, "65534\n65533");
            }
        });
    });
}

#[test]
fn what_runs_before_the_program_may_refuse_to_start_it() {
    alone(|| {
        run(async || {
            let mut command = shell("exit 0");
            // SAFETY: it makes an error from a number, and nothing else.
            unsafe { command.pre_exec(|| Err(io::Error::from(Errno::PERM))) };
            let error = command.spawn().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        });
        assert_childless();
    });
}

#[test]
fn a_command_may_be_started_again_and_each_start_has_its_own_defaults() {
    alone(|| {
        run(async || {
            let mut command = shell("echo out");
            for _ in 0..2 {
                assert_eq!(says(&mut command).await, "out");
                let mut child = command.spawn().unwrap();
                assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
                assert!(child.wait().await.unwrap().success());
                assert!(command.status().await.unwrap().success());
            }
        });
        assert_childless();
    });
}

#[test]
fn output_goes_where_it_was_told_to_go() {
    alone(|| {
        let mut file = File::from(memfd_create("output", MemfdFlags::CLOEXEC).unwrap());
        let copy = file.try_clone().unwrap();
        run(async || {
            let mut command = shell("echo out; echo err >&2");
            let output = command.stdout(copy).stderr(Stdio::piped()).output().await.unwrap();
            assert_eq!((&*output.stdout, &*output.stderr), (&b""[..], &b"err\n"[..]));
        });
        let mut written = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut written).unwrap();
        assert_eq!(written, "out\n");
    });
}

#[test]
fn output_without_an_input_gives_an_empty_one() {
    alone(|| {
        run(async || assert_eq!(says(&mut Command::new("cat")).await, ""));
    });
}
