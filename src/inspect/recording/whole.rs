//! Layer 6: a file that is there when it is complete.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes a file under another name, and renames it at the end.
pub(super) fn save(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
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
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    out.flush()
}
