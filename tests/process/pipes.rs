//! Pipes from and to children.

use std::io::ErrorKind;
use std::process::Stdio;

use futures::{AsyncReadExt, AsyncWriteExt, join};
use selkie::process::{Child, Command};

use crate::alone::alone;
use crate::util::{is_nonblocking, run};
use crate::{assert_childless, shell};

/// More than a pipe holds. Bytes.
const MUCH: usize = 1 << 20;

fn piped(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn more_than_a_pipe_holds_goes_through_a_child_in_both_directions() {
    alone(|| {
        run(async || {
            let mut cat = piped(&mut Command::new("cat"));
            let (mut input, mut output) = (cat.stdin.take().unwrap(), cat.stdout.take().unwrap());
            let bytes: Vec<u8> = (0..MUCH).map(|i| (i % 251) as u8).collect();
            let mut back = Vec::new();
            let send = async {
                input.write_all(&bytes).await.unwrap();
                input.close().await.unwrap();
            };
            let (_, read) = join!(send, output.read_to_end(&mut back));
            assert_eq!(read.unwrap(), MUCH);
            assert!(back == bytes, "the bytes differ");
            assert!(cat.wait().await.unwrap().success());
        });
        assert_childless();
    });
}

#[test]
fn both_outputs_are_gathered_at_once_however_much_they_are() {
    alone(|| {
        run(async || {
            let script = "head -c 1048576 /dev/zero >&2; head -c 1048576 /dev/zero; \
                          head -c 1048576 /dev/zero >&2";
            let output = shell(script).output().await.unwrap();
            assert!(output.status.success());
            assert_eq!((output.stdout.len(), output.stderr.len()), (MUCH, 2 * MUCH));
        });
    });
}

#[test]
fn to_wait_closes_the_input_so_that_who_reads_to_its_end_does_end() {
    alone(|| {
        run(async || {
            let mut cat = piped(&mut Command::new("cat"));
            cat.stdin.as_mut().unwrap().write_all(b"some").await.unwrap();
            assert!(cat.wait().await.unwrap().success());
            assert!(cat.stdin.is_none());
            let output = cat.wait_with_output().await.unwrap();
            assert_eq!(output.stdout, b"some");

            let cat = piped(&mut Command::new("cat"));
            assert!(cat.wait_with_output().await.unwrap().status.success());
            let status = Command::new("cat").stdin(Stdio::piped()).status();
            assert!(status.await.unwrap().success());
        });
        assert_childless();
    });
}

#[test]
fn input_that_was_closed_says_so() {
    alone(|| {
        run(async || {
            let mut cat = piped(&mut Command::new("cat"));
            let mut input = cat.stdin.take().unwrap();
            input.close().await.unwrap();
            input.close().await.unwrap();
            let error = input.write(b"late").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            assert!(error.to_string().contains("has been closed; write before it is"), "{error}");
            assert_eq!(input.into_inner().unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert!(cat.wait().await.unwrap().success());
        });
    });
}

#[test]
fn input_that_the_child_does_not_read_is_an_error_and_no_signal() {
    alone(|| {
        run(async || {
            let mut child = piped(&mut shell("exec <&-; echo closed; sleep 60"));
            let mut line = [0; 7];
            child.stdout.as_mut().unwrap().read_exact(&mut line).await.unwrap();
            let error = child.stdin.as_mut().unwrap().write(b"x").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            child.kill().unwrap();
            child.wait().await.unwrap();
        });
    });
}

#[test]
fn the_childs_ends_of_its_pipes_block_as_it_expects() {
    alone(|| {
        run(async || {
            let script = "cat /proc/self/fdinfo/0 /proc/self/fdinfo/1";
            let output = piped(&mut shell(script)).wait_with_output().await.unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let flags: Vec<_> = text.lines().filter_map(|it| it.strip_prefix("flags:")).collect();
            assert_eq!(flags.len(), 2, "{text}");
            for flags in flags {
                let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
                assert_eq!(u32::from_str_radix(flags.trim(), 8).unwrap() & nonblocking, 0);
            }
        });
    });
}

#[test]
fn the_output_of_one_child_can_be_the_input_of_another() {
    alone(|| {
        run(async || {
            let mut echo = shell("printf '%s\\n' b a").stdout(Stdio::piped()).spawn().unwrap();
            let pipe = echo.stdout.take().unwrap().into_inner().unwrap();
            assert!(!is_nonblocking(&pipe));
            let sorted = Command::new("sort").stdin(pipe).output().await.unwrap();
            assert_eq!(sorted.stdout, b"a\nb\n");
            assert!(echo.wait().await.unwrap().success());

            let mut cat =
                Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let into_cat = cat.stdin.take().unwrap().into_inner().unwrap();
            assert!(shell("printf through").stdout(into_cat).status().await.unwrap().success());
            assert_eq!(cat.wait_with_output().await.unwrap().stdout, b"through");
        });
        assert_childless();
    });
}

#[test]
fn children_inherit_none_of_the_runtimes_descriptors() {
    alone(|| {
        // Whoever runs the tests may leave some open.
        let by_std = std::process::Command::new("ls").arg("/proc/self/fd").output().unwrap();
        run(async move || {
            let _other = piped(shell("sleep 60").kill_on_drop(true));
            let output = Command::new("ls").arg("/proc/self/fd").output().await.unwrap();
            assert_eq!(output.stdout, by_std.stdout);
        });
    });
}
