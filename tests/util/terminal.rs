//! A terminal of the tests' own.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Both ends of a new terminal in its usual, canonical mode.
pub fn terminal() -> (File, File) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let noctty = OFlags::NOCTTY.bits().try_into().unwrap();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(noctty);
    let slave = options.open(OsStr::from_bytes(name.to_bytes())).unwrap();
    (master.into(), slave)
}
