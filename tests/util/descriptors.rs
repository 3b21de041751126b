//! Descriptor numbers: how many there may be, and one that can be closed behind the back of its
//! owner without a neighbouring test opening a file under it.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use rustix::io::fcntl_dupfd_cloexec;

/// Descriptors that the suite asks for: 10,000 pairs, and ample room for its other tests.
const WANTED: rlim_t = 40_000;

/// Numbers at the upper end that only [`Closable`] uses: at most a few for each of its tests.
pub const SET_APART: rlim_t = 1_000;

/// Raises the limit of open descriptors for this process as far as it is wanted, as root beyond
/// the hard limit, and returns what it is then.
pub fn limit() -> rlim_t {
    static LIMIT: OnceLock<rlim_t> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        if soft < WANTED && setrlimit(Resource::RLIMIT_NOFILE, WANTED, hard.max(WANTED)).is_err() {
            setrlimit(Resource::RLIMIT_NOFILE, hard.min(WANTED), hard).unwrap();
        }
        let limit = getrlimit(Resource::RLIMIT_NOFILE).unwrap().0.min(WANTED);
        assert!(limit >= 4_096, "{limit} descriptors are too few for these tests; ulimit -n 4096");
        limit
    })
}

/// A source that can be closed behind the selector's back, under a number of its own that the
/// system gives to nobody else. Dropping it closes nothing.
#[derive(Debug)]
pub struct Closable(ManuallyDrop<OwnedFd>);

impl Closable {
    pub fn duplicate_of(source: impl AsFd) -> Self {
        static TAKEN: AtomicI32 = AtomicI32::new(0);
        let first = RawFd::try_from(limit() - SET_APART).unwrap();
        let number = first + TAKEN.fetch_add(1, Ordering::Relaxed);
        Self::at(number, source)
    }

    /// Another duplicate under a number that was closed.
    #[track_caller]
    pub fn at(number: RawFd, source: impl AsFd) -> Self {
        let fd = fcntl_dupfd_cloexec(source, number).unwrap();
        assert_eq!(fd.as_raw_fd(), number, "the number is in use");
        Self(ManuallyDrop::new(fd))
    }

    pub fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Closable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Closes a number, whoever believes to own it.
pub fn close(number: RawFd) {
    nix::unistd::close(number).unwrap();
}
