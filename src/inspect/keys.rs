//! Layer 6: the table of what a selector watches.

use std::any::type_name;
use std::fmt;

use super::columns::columns;
use super::file::File;
use crate::interest::Interest;
use crate::selector::{Backend, Key, Mode, Selector};
use crate::sys::{AsRawFd, RawFd};
use crate::text::plain;

/// Characters of what is told of a file: a socket may have any name.
const LONGEST: usize = 200;

/// All that a selector watches, at one moment; from [`Selector::keys`].
///
/// `Display` prints it for a terminal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Keys {
    /// The name of the back end.
    pub backend: &'static str,
    /// The type of the sources.
    pub source_type: &'static str,
    /// The type of the data.
    pub data_type: &'static str,
    /// Each registration, by descriptor.
    pub keys: Vec<KeyInfo>,
}

/// A registration at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Its name.
    pub key: Key,
    /// Its descriptor's number.
    pub fd: RawFd,
    /// What is behind the descriptor.
    pub file: File,
    /// What it is watched for.
    pub interest: Interest,
    /// When it is reported.
    pub mode: Mode,
    /// False for a oneshot that has fired: it is silent until
    /// [`modify`](Selector::modify) arms it again.
    pub is_armed: bool,
}

impl<S, D, B: Backend> Selector<S, D, B> {
    /// What is watched, for what, and how; see [`inspect`](crate::inspect). Asks the system what
    /// each descriptor is, some calls for each.
    #[must_use]
    pub fn keys(&self) -> Keys {
        let mut keys = Vec::with_capacity(self.len());
        self.each_descriptor(|key, descriptor, is_armed| {
            let (interest, mode) = (self[key].interest, self[key].mode);
            let (fd, file) = (descriptor.as_raw_fd(), File::of(descriptor));
            keys.push(KeyInfo { key, fd, file, interest, mode, is_armed });
        });
        keys.sort_by_key(|key| key.fd);
        let (source_type, data_type) = (type_name::<S>(), type_name::<D>());
        Keys { backend: self.backend().name(), source_type, data_type, keys }
    }
}

/// The names of the bits, as `READ | WRITE`.
fn names(interest: Interest) -> String {
    interest.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join(" | ")
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, source_type, data_type, keys } = self;
        let s = if keys.len() == 1 { "" } else { "s" };
        write!(f, "{} key{s} on {backend}: sources {source_type}, ", keys.len())?;
        writeln!(f, "data {data_type}")?;
        let lines: Vec<_> = keys
            .iter()
            .map(|key| {
                let state = if key.is_armed { "" } else { "has fired" };
                [
                    key.fd.to_string(),
                    names(key.interest),
                    key.mode.to_string(),
                    state.to_owned(),
                    plain(&key.file.to_string(), LONGEST),
                ]
            })
            .collect();
        columns(f, ["FD", "INTEREST", "MODE", "STATE", "SOURCE"], &lines)
    }
}
