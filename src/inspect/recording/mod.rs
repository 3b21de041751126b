//! Layer 6: the flight recorder's recording.

mod capture;
mod entry;
mod explicit;
mod panicked;
mod saved;
mod trace;
mod whole;

pub use self::capture::{Recording, recording};
pub use self::entry::{Actor, Entry, What};
pub use self::explicit::Recorder;
