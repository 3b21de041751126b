//! Layer 1: what the selector says when it refuses: subject, fact, remedy.
//! Invariant: an error of the system keeps its number and its kind. An [`io::Error`] has no room for
//! a number and a text, so the text is in the [`RegisterError`] around it.

use std::error::Error;
use std::fmt;
use std::io;

use rustix::io::Errno;

use super::key::{Key, Mode};
use crate::sys::RawFd;

/// A registration that failed, with the source and the data that were to be registered.
///
/// It displays what is wrong and what to do about it. [`error`](Self::error) is the system's own
/// error, with its number ([`io::Error::raw_os_error`]), for programs to decide by; that is also
/// what the conversion into an [`io::Error`] gives, so `?` works where the source may be dropped.
pub struct RegisterError<S, D = ()> {
    error: Refusal,
    source: S,
    data: D,
}

impl<S, D> RegisterError<S, D> {
    pub(crate) fn new(error: impl Into<Refusal>, source: S, data: D) -> Self {
        Self { error: error.into(), source, data }
    }

    /// The same error, of what `map` makes of the source.
    pub(crate) fn with_source<U>(self, map: impl FnOnce(S) -> U) -> RegisterError<U, D> {
        RegisterError { error: self.error, source: map(self.source), data: self.data }
    }

    /// Why it failed: the system's error, or that of the selector.
    pub fn error(&self) -> &io::Error {
        &self.error.error
    }

    /// The kind of [`error`](Self::error).
    pub fn kind(&self) -> io::ErrorKind {
        self.error().kind()
    }

    /// The error, the source and the data.
    pub fn into_parts(self) -> (io::Error, S, D) {
        (self.error.error, self.source, self.data)
    }
}

impl<S, D> From<RegisterError<S, D>> for io::Error {
    /// The [`error`](RegisterError::error), with its number, but without the advice.
    fn from(failed: RegisterError<S, D>) -> Self {
        failed.error.error
    }
}

impl<S, D> fmt::Display for RegisterError<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<S, D> fmt::Debug for RegisterError<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterError")
            .field("error", self.error())
            .field("text", &format_args!("{}", self.error))
            .finish_non_exhaustive()
    }
}

impl<S, D> Error for RegisterError<S, D> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.error.explanation {
            Some(_) => Some(self.error()),
            None => self.error().source(),
        }
    }
}

/// An error, and if it is the system's, what it means here.
#[derive(Debug)]
pub(crate) struct Refusal {
    error: io::Error,
    explanation: Option<String>,
}

impl Refusal {
    /// Says what a back end's refusal of `fd` means.
    pub(super) fn by_backend(fd: RawFd, backend: &str, cause: io::Error) -> Self {
        Self { explanation: explanation(fd, backend, &cause), error: cause }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self { error, explanation: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.explanation {
            Some(explanation) => f.write_str(explanation),
            None => self.error.fmt(f),
        }
    }
}

fn explanation(fd: RawFd, backend: &str, cause: &io::Error) -> Option<String> {
    let unwatchable = format!("fd {fd} cannot be watched by the {backend} back end: {cause}");
    Some(match Errno::from_raw_os_error(cause.raw_os_error()?) {
        Errno::BADF => format!(
            "fd {fd} is not open: {cause}; register a source before its descriptor is closed"
        ),
        Errno::PERM => format!(
            "{unwatchable}; a regular file is always ready, so use it without a selector, or take \
             the poll or select back end"
        ),
        Errno::NOSPC => format!("{unwatchable}; raise /proc/sys/fs/epoll/max_user_watches"),
        Errno::NOMEM => {
            format!("{unwatchable}; unregister what is no longer needed and try again")
        }
        Errno::LOOP | Errno::INVAL => format!(
            "{unwatchable}; a selector cannot be registered in itself, nor more than three deep"
        ),
        _ => return None,
    })
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
    fn a_refusal_names_descriptor_back_end_and_remedy_and_keeps_the_system_s_number() {
        for (errno, remedy) in [
            (Errno::BADF, "register a source before its descriptor is closed"),
            (Errno::PERM, "use it without a selector"),
            (Errno::NOSPC, "raise /proc/sys/fs/epoll/max_user_watches"),
            (Errno::NOMEM, "unregister what is no longer needed"),
            (Errno::LOOP, "nor more than three deep"),
            (Errno::INVAL, "a selector cannot be registered in itself"),
        ] {
            let refused = Refusal::by_backend(7, "epoll", errno.into());
            let refused = RegisterError::new(refused, "source", ());
            let (text, cause) = (refused.to_string(), refused.error().to_string());
            assert!(text.contains("fd 7") && text.contains(remedy), "{text}");
            assert!(text.contains(&cause), "{text}");
            assert!(format!("{refused:?}").contains(&text));
            assert_eq!(refused.source().map(ToString::to_string), Some(cause));
            assert_eq!(refused.kind(), io::Error::from(errno).kind());
            assert_eq!(io::Error::from(refused).raw_os_error(), Some(errno.raw_os_error()));
        }
    }

    #[test]
    fn an_error_that_needs_no_explanation_says_what_it_says() {
        let other = RegisterError::new(Refusal::by_backend(7, "epoll", Errno::IO.into()), (), ());
        assert_eq!(other.to_string(), io::Error::from(Errno::IO).to_string());
        assert!(other.source().is_none());
        let own = RegisterError::new(empty_interest(7), (), ());
        assert!(own.to_string().contains("fd 7 has an empty interest"));
        assert_eq!(own.kind(), io::ErrorKind::InvalidInput);
    }
}
