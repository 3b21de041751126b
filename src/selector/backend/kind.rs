//! Layer 1: the back ends by name, for a choice at run time.
//! Invariant: [`BackendKind::ALL`] lists just what this system can open.

use std::env;
use std::fmt;
use std::io;
use std::str::FromStr;

#[cfg(feature = "polling")]
use super::PollingBackend;
use super::{Backend, Open};
#[cfg(target_os = "linux")]
use super::{EpollBackend, PollBackend, SelectBackend};

/// The environment variable that overrides [`BackendKind::DEFAULT`] for a whole program.
const VARIABLE: &str = "SELKIE_BACKEND";

/// The back ends that this system has.
///
/// ```
/// use selkie::{Selector, selector::BackendKind};
///
/// let kind: BackendKind = "poll".parse()?;
/// let selector = Selector::<std::net::TcpStream>::with_backend(kind.open()?);
/// assert_eq!(selector.backend().name(), "poll");
/// # use selkie::selector::Backend;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendKind {
    /// epoll(7).
    #[cfg(target_os = "linux")]
    Epoll,
    /// poll(2).
    #[cfg(target_os = "linux")]
    Poll,
    /// select(2).
    #[cfg(target_os = "linux")]
    Select,
    /// The `polling` crate: kqueue, event ports and others, epoll on Linux. With the feature
    /// `polling`, which is on by default.
    #[cfg(feature = "polling")]
    Polling,
}

impl BackendKind {
    /// All of them, the most efficient first.
    pub const ALL: &'static [Self] = &[
        #[cfg(target_os = "linux")]
        Self::Epoll,
        #[cfg(feature = "polling")]
        Self::Polling,
        #[cfg(target_os = "linux")]
        Self::Poll,
        #[cfg(target_os = "linux")]
        Self::Select,
    ];

    /// The most efficient one.
    pub const DEFAULT: Self = Self::ALL[0];

    /// The one that the environment variable `SELKIE_BACKEND` names, else
    /// [`DEFAULT`](Self::DEFAULT).
    ///
    /// # Errors
    /// Of kind `InvalidInput` if the variable names none; the text lists the known ones.
    pub fn from_env() -> io::Result<Self> {
        let Some(name) = env::var_os(VARIABLE) else { return Ok(Self::DEFAULT) };
        name.to_string_lossy().parse().map_err(|unknown: UnknownBackend| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{VARIABLE}: {unknown}"))
        })
    }

    /// Its name: what [`Backend::name`] says and `SELKIE_BACKEND` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            #[cfg(target_os = "linux")]
            Self::Epoll => "epoll",
            #[cfg(target_os = "linux")]
            Self::Poll => "poll",
            #[cfg(target_os = "linux")]
            Self::Select => "select",
            #[cfg(feature = "polling")]
            Self::Polling => "polling",
        }
    }

    /// Opens the system's own, whatever the world of this thread is: for those who write a
    /// [`World`](crate::world::World).
    ///
    /// # Errors
    /// As the system's, when it has no descriptor or memory to spare.
    pub fn open_system(self) -> io::Result<Box<dyn Backend + Send>> {
        Ok(match self {
            #[cfg(target_os = "linux")]
            Self::Epoll => Box::new(EpollBackend::open()?),
            #[cfg(target_os = "linux")]
            Self::Poll => Box::new(PollBackend::open()?),
            #[cfg(target_os = "linux")]
            Self::Select => Box::new(SelectBackend::open()?),
            #[cfg(feature = "polling")]
            Self::Polling => Box::new(PollingBackend::open()?),
        })
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BackendKind {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        let known = Self::ALL.iter().find(|kind| kind.name() == name);
        known.copied().ok_or_else(|| UnknownBackend(name.to_owned()))
    }
}

/// A name that no back end has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBackend(String);

impl fmt::Display for UnknownBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name) = self;
        let known: Vec<_> = BackendKind::ALL.iter().map(|kind| kind.name()).collect();
        let known = known.join(", ");
        if name == "polling" {
            let remedy = "build selkie with its feature `polling`";
            write!(f, "{name:?} is not a back end of this build; {remedy}, or use one of {known}")
        } else {
            write!(f, "{name:?} is not a back end of this system; use one of {known}")
        }
    }
}

impl std::error::Error for UnknownBackend {}
