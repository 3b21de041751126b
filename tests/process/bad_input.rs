//! Programs that cannot be started: kind, subject, fact and remedy.

use std::io::ErrorKind;
use std::panic::catch_unwind;

use selkie::process::Command;

use crate::alone::alone;
use crate::util::run;
use crate::{assert_childless, shell};

#[track_caller]
fn refused(command: &mut Command, kind: ErrorKind) -> String {
    let error = command.spawn().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

#[test]
fn a_program_that_does_not_exist_is_named_with_a_remedy() {
    alone(|| {
        run(async || {
            for program in ["selkie-no-such-program", "/no/such/program"] {
                let told = refused(Command::new(program).arg("x"), ErrorKind::NotFound);
                assert!(told.starts_with(&format!("{program:?} cannot be started: ")), "{told}");
                assert!(told.contains("; name a program that exists"), "{told}");
                let error = Command::new(program).output().await.unwrap_err();
                assert_eq!((error.kind(), error.to_string()), (ErrorKind::NotFound, told.clone()));
                let error = Command::new(program).status().await.unwrap_err();
                assert_eq!((error.kind(), error.to_string()), (ErrorKind::NotFound, told));
            }
        });
        assert_childless();
    });
}

#[test]
fn a_working_directory_that_does_not_exist_is_in_the_remedy() {
    alone(|| {
        run(async || {
            let told = refused(shell("exit 0").current_dir("/no/such"), ErrorKind::NotFound);
            assert!(told.contains("the working directory"), "{told}");
        });
        assert_childless();
    });
}

#[test]
fn a_file_that_is_not_executable_is_named_with_a_remedy() {
    alone(|| {
        run(async || {
            let told = refused(&mut Command::new("/etc/passwd"), ErrorKind::PermissionDenied);
            assert!(told.starts_with("\"/etc/passwd\" cannot be started: "), "{told}");
            assert!(told.contains("see chmod(1)"), "{told}");
        });
        assert_childless();
    });
}

#[test]
fn an_argument_with_a_zero_byte_is_refused() {
    alone(|| {
        run(async || {
            refused(Command::new("echo").arg("a\0b"), ErrorKind::InvalidInput);
        });
        assert_childless();
    });
}

#[test]
fn outside_a_runtime_nothing_is_started() {
    alone(|| {
        assert!(catch_unwind(|| shell("exec sleep 60").spawn()).is_err());
        assert_childless();
    });
}
