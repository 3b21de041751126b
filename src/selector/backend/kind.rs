//! Layer 1: the back ends by name, for a choice at run time.
//! Invariant: [`BackendKind::ALL`] lists just what this system can open.

use std::env;
use std::fmt;
use std::io;
use std::str::FromStr;

use super::{Backend, Open, PollingBackend};
#[cfg(target_os = "linux")]
use super::{EpollBackend, PollBackend, SelectBackend};

/// The environment variable that overrides [`BackendKind::DEFAULT`] for a whole program.
const VARIABLE: &str = "SELKIE_BACKEND";

/// The back ends that this system has.
///
/// ```
/// use selkie::{Selector, selector::BackendKind};
///
/// let kind: BackendKind = "polling".parse()?;
/// let selector = Selector::<std::net::TcpStream>::with_backend(kind.open()?);
/// assert_eq!(selector.backend().name(), "polling");
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
    /// The `polling` crate: kqueue, event ports and others, epoll on Linux.
    Polling,
}

impl BackendKind {
    /// All of them, the most efficient first.
    pub const ALL: &'static [Self] = &[
        #[cfg(target_os = "linux")]
        Self::Epoll,
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
            Self::Polling => "polling",
        }
    }

    /// Opens one.
    ///
    /// # Errors
    /// As the system's, when it has no descriptor or memory to spare.
    pub fn open(self) -> io::Result<Box<dyn Backend + Send>> {
        Ok(match self {
            #[cfg(target_os = "linux")]
            Self::Epoll => Box::new(EpollBackend::open()?),
            #[cfg(target_os = "linux")]
            Self::Poll => Box::new(PollBackend::open()?),
            #[cfg(target_os = "linux")]
            Self::Select => Box::new(SelectBackend::open()?),
            Self::Polling => Box::new(PollingBackend::open()?),
        })
    }
}

impl Open for Box<dyn Backend + Send> {
    /// The back end that [`BackendKind::from_env`] chooses.
    fn open() -> io::Result<Self> {
        BackendKind::from_env()?.open()
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
        let known: Vec<_> = BackendKind::ALL.iter().map(|kind| kind.name()).collect();
        write!(f, "{:?} is not a back end of this system; use one of {}", self.0, known.join(", "))
    }
}

impl std::error::Error for UnknownBackend {}
