//! Standard descriptors that cannot be used: subject, fact and remedy.

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use selkie::io::{stderr, stdin, stdout};

use crate::alone::alone;
use crate::util::{pipe, run};
use crate::{redirect_input, redirect_output, with_stdio};

fn has_number(error: &io::Error, number: Errno) -> bool {
    error.to_string().contains(&io::Error::from(number).to_string())
}

#[test]
fn closed_input_is_named_with_a_remedy() {
    alone(|| {
        run(async || {
            // SAFETY: nothing else in this process uses standard input, now or later.
            drop(unsafe { File::from_raw_fd(0) });
            let error = stdin().unwrap_err();
            assert!(has_number(&error, Errno::BADF), "{error}");
            assert!(error.to_string().starts_with("standard input cannot be used: "), "{error}");
            assert!(error.to_string().contains("; look what it is redirected to"), "{error}");
        });
    });
}

#[test]
fn without_a_descriptor_left_the_limit_is_named() {
    with_stdio(|| {
        redirect_input(pipe().0);
        run(async || {
            let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
            setrlimit(Resource::Nofile, Rlimit { current: Some(4), maximum }).unwrap();
            let error = stdin().unwrap_err();
            setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
            assert!(has_number(&error, Errno::MFILE), "{error}");
            assert!(error.to_string().contains("`ulimit -n`"), "{error}");
            stdin().unwrap();
        });
    });
}

#[test]
fn input_that_is_only_open_for_writing_is_refused_and_output_for_reading() {
    with_stdio(|| {
        let (read, write) = pipe();
        redirect_input(&write);
        let redirected = redirect_output(read);
        run(async || {
            for (name, way, result) in [
                ("input", "writing", stdin().map(drop)),
                ("output", "reading", stdout().map(drop)),
                ("error", "reading", stderr().map(drop)),
            ] {
                let error = result.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                let told = format!("standard {name} cannot be used: it is open for {way} only;");
                assert!(error.to_string().starts_with(&told), "{error}");
            }
        });
        drop(redirected);
    });
}
