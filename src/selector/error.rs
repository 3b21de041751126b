//! Layer 1: what the selector says when it refuses: subject, fact, remedy.
//! Imports `backend` and `key`. Invariant: an explained error keeps the kind of its cause, and
//! the cause itself as its `source()`.

use std::error::Error;
use std::fmt;
use std::io;

use rustix::io::Errno;

use super::key::{Key, Mode};
use crate::sys::RawFd;

/// A registration that failed, with the source and the data that were to be registered.
///
/// Converts into the [`io::Error`] inside it, so `?` works where the source may be dropped.
pub struct RegisterError<S, D = ()> {
    error: io::Error,
    source: S,
    data: D,
}

impl<S, D> RegisterError<S, D> {
    pub(super) fn new(error: io::Error, source: S, data: D) -> Self {
        Self { error, source, data }
    }

    /// Why it failed.
    pub fn error(&self) -> &io::Error {
        &self.error
    }

    /// The kind of [`error`](Self::error).
    pub fn kind(&self) -> io::ErrorKind {
        self.error.kind()
    }

    /// The error, the source and the data.
    pub fn into_parts(self) -> (io::Error, S, D) {
        (self.error, self.source, self.data)
    }
}

impl<S, D> From<RegisterError<S, D>> for io::Error {
    fn from(failed: RegisterError<S, D>) -> Self {
        failed.error
    }
}

impl<S, D> fmt::Display for RegisterError<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<S, D> fmt::Debug for RegisterError<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<S, D> Error for RegisterError<S, D> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// An error of the system with its subject and remedy around it.
#[derive(Debug)]
struct Explained {
    text: String,
    cause: io::Error,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Explained {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// Says what a back end's refusal of `fd` means.
pub(super) fn refused(fd: RawFd, backend: &str, cause: io::Error) -> io::Error {
    let fact = match cause.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) => format!(
            "fd {fd} is another file than was registered: {cause}; its descriptor was closed too \
             early and the number taken again, so unregister it and register it anew"
        ),
        Some(Errno::BADF) => {
            format!(
                "fd {fd} is not open: {cause}; register a source before its descriptor is closed"
            )
        }
        Some(Errno::PERM) => format!(
            "fd {fd} cannot be watched by the {backend} back end: {cause}; a regular file is \
             always ready, so use it without a selector, or take the poll or select back end"
        ),
        Some(Errno::NOSPC) => format!(
            "fd {fd} cannot be watched by the {backend} back end: {cause}; raise \
             /proc/sys/fs/epoll/max_user_watches"
        ),
        Some(Errno::NOMEM) => format!(
            "fd {fd} cannot be watched by the {backend} back end: {cause}; unregister what is \
             no longer needed and try again"
        ),
        Some(Errno::LOOP | Errno::INVAL) => format!(
            "fd {fd} cannot be watched by the {backend} back end: {cause}; a selector cannot be \
             registered in itself, nor more than three deep"
        ),
        _ => return cause,
    };
    io::Error::new(cause.kind(), Explained { text: fact, cause })
}

pub(super) fn already_registered(fd: RawFd) -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("fd {fd} is already registered; use modify to change its interest"),
    )
}

pub(super) fn empty_interest(fd: RawFd) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("fd {fd} has an empty interest; ask for READ, WRITE or PRIORITY, or unregister it"),
    )
}

pub(super) fn no_such_mode(mode: Mode, backend: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!(
            "the {backend} back end has no {mode} mode; use level or oneshot mode, or a back end \
             that has it, such as epoll"
        ),
    )
}

pub(super) fn not_registered(key: Key) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!(
            "{key:?} is not registered here; it was unregistered, or it is a key of another selector"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_descriptor_back_end_and_remedy_and_keeps_its_cause() {
        for (errno, remedy) in [
            (Errno::NOENT, "unregister it and register it anew"),
            (Errno::BADF, "register a source before its descriptor is closed"),
            (Errno::PERM, "use it without a selector"),
            (Errno::NOSPC, "raise /proc/sys/fs/epoll/max_user_watches"),
            (Errno::NOMEM, "unregister what is no longer needed"),
            (Errno::LOOP, "nor more than three deep"),
            (Errno::INVAL, "a selector cannot be registered in itself"),
        ] {
            let error = refused(7, "epoll", errno.into());
            let text = error.to_string();
            assert!(text.contains("fd 7") && text.contains(remedy), "{text}");
            assert_eq!(error.kind(), io::Error::from(errno).kind());
            let cause = error.get_ref().and_then(|inner| inner.source()).expect("the system's");
            assert!(text.contains(&cause.to_string()), "{text}");
        }
        let other = refused(7, "epoll", Errno::IO.into());
        assert_eq!(other.raw_os_error(), Some(Errno::IO.raw_os_error()));
    }
}
