//! Layer 6: a file that is there when it is complete.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes a file under another name, and renames it at the end. What is there and no file, a pipe or
/// a device, is written to, and a link stays one.
pub(super) fn save(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    // An error is that of the new file, too.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return write_into(OpenOptions::new().write(true).open(path)?, write);
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let saved = write_new(&new, write).and_then(|()| fs::rename(&new, path));
    if saved.is_err() {
        // The first error says what is wrong.
        let _ = fs::remove_file(&new);
    }
    saved
}

fn write_new(path: &OsStr, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A new file: in a folder of everybody's, a link that somebody else has put there is not followed.
    write_into(OpenOptions::new().write(true).create_new(true).open(path)?, write)
}

fn write_into(file: File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    out.flush()
}
