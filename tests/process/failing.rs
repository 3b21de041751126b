//! What fails after a child was started leaves no child behind.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::process::Stdio;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use selkie::selector::{Backend, BackendKind, Token, Wrapped, Wrapper};
use selkie::{Builder, Interest, Mode};

use crate::alone::alone;
use crate::util::{open_descriptors, run};
use crate::{assert_childless, shell};

#[test]
fn without_a_descriptor_for_the_pidfd_the_child_is_killed_and_waited_for() {
    alone(|| {
        run(async || {
            // All below the one that comes next are taken.
            let next = File::open("/dev/null").unwrap().as_raw_fd() as u64;
            let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
            // To start it, std needs none.
            setrlimit(Resource::Nofile, Rlimit { current: Some(next), maximum }).unwrap();
            let error = shell("exec sleep 60").spawn().unwrap_err();
            setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
            let told = error.to_string();
            assert!(told.starts_with("the child ") && told.contains(" was killed: "), "{told}");
            assert!(told.contains(&io::Error::from(Errno::MFILE).to_string()), "{told}");
            assert!(told.contains("`ulimit -n`"), "{told}");
            assert_childless();
            assert!(shell("exit 0").status().await.unwrap().success());
        });
    });
}

/// Refuses the registration with this number, counted from the last one back.
struct Refusing(Rc<Cell<usize>>);

// SAFETY: the test that has the counter has but one thread.
unsafe impl Send for Refusing {}

impl<B: Backend> Wrapper<B> for Refusing {
    unsafe fn register(
        &mut self,
        inner: &mut B,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.0.set(self.0.get().wrapping_sub(1));
        if self.0.get() == 0 {
            return Err(Errno::NOMEM.into());
        }
        // SAFETY: it is the caller's promise, handed on.
        unsafe { inner.register(token, fd, interest, mode) }
    }
}

#[test]
fn whichever_descriptor_cannot_be_watched_the_child_is_killed_and_waited_for() {
    alone(|| {
        let countdown = Rc::new(Cell::new(0));
        let inner = BackendKind::from_env().unwrap().open().unwrap();
        let refusing = Wrapped { inner, wrapper: Refusing(Rc::clone(&countdown)) };
        let runtime = Builder::new().build_with(Box::new(refusing)).unwrap();
        runtime.block_on(async {
            // Three pipes and the pidfd.
            for number in 1..=4 {
                let open = open_descriptors();
                countdown.set(number);
                let mut command = shell("exec sleep 60");
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                let error = command.spawn().unwrap_err();
                assert_eq!(error.kind(), io::Error::from(Errno::NOMEM).kind(), "{error}");
                assert_childless();
                assert_eq!(open_descriptors(), open);
            }
            assert!(shell("exit 0").status().await.unwrap().success());
        });
    });
}

#[test]
fn programs_that_cannot_be_started_leave_no_descriptor_and_no_child() {
    alone(|| {
        run(async || {
            let open = open_descriptors();
            for _ in 0..100 {
                let mut command = selkie::process::Command::new("/no/such/program");
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().unwrap_err();
                command.output().await.unwrap_err();
            }
            assert_eq!(open_descriptors(), open);
            assert_childless();
        });
    });
}
