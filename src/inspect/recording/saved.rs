//! Layer 6: a recording as a file. All numbers are little-endian:
//!
//! ```text
//! 8 bytes  SELKIEFR
//! u32      version, 1
//! u32      how many tasks
//! u64      how many records
//! u64      how many records were lost before
//! records  u64: time in nanoseconds × 256 + kind; u32, u32: see probe/record.rs
//! tasks    u32: number; u32: length, and so many bytes of the place; the same of the name, whose
//!          length is 2³² - 1 if there is none
//! u64      FNV-1a of all before
//! ```

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;

use super::capture::{Recording, Who};
use super::whole::save;
use crate::probe::Record;
use crate::task::TaskId;

const MAGIC: &[u8; 8] = b"SELKIEFR";
const VERSION: u32 = 1;
const NO_NAME: u32 = u32::MAX;

impl Recording {
    /// Writes it in a format of its own, 16 bytes for each record, to be
    /// [read](Self::read_from) again.
    ///
    /// # Errors
    /// As `out` has them.
    pub fn write_to(&self, out: impl Write) -> io::Result<()> {
        write(self, out)
    }

    /// As [`write_to`](Self::write_to), to a file, which is there when it is complete.
    ///
    /// # Errors
    /// As [`save_trace`](Self::save_trace).
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        save(path.as_ref(), |out| self.write_to(out))
    }

    /// Reads what [`write_to`](Self::write_to) has written.
    ///
    /// # Errors
    /// Of kind `InvalidData` if it is no recording, if it is torn or damaged, or if it has another
    /// version; and as `from` has them.
    pub fn read_from(from: impl Read) -> io::Result<Self> {
        read(from)
    }
}

fn write(recording: &Recording, mut out: impl Write) -> io::Result<()> {
    let Recording { records, lost, tasks } = recording;
    let mut bytes = Vec::with_capacity(64 + 16 * records.len());
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((tasks.len() as u32).to_le_bytes());
    bytes.extend((records.len() as u64).to_le_bytes());
    bytes.extend(lost.to_le_bytes());
    for Record { when, a, b } in records {
        bytes.extend(when.to_le_bytes());
        bytes.extend(a.to_le_bytes());
        bytes.extend(b.to_le_bytes());
    }
    for (id, Who { spawned_at, name }) in tasks {
        bytes.extend((id.get() as u32).to_le_bytes());
        text(&mut bytes, Some(spawned_at));
        text(&mut bytes, name.as_deref());
    }
    bytes.extend(checksum(&bytes).to_le_bytes());
    out.write_all(&bytes)
}

fn text(bytes: &mut Vec<u8>, text: Option<&str>) {
    bytes.extend(text.map_or(NO_NAME, |text| text.len() as u32).to_le_bytes());
    bytes.extend(text.unwrap_or_default().as_bytes());
}

/// FNV-1a, of 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn read(mut from: impl Read) -> io::Result<Recording> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    parse(&bytes).map_err(|refused| io::Error::new(io::ErrorKind::InvalidData, refused))
}

fn parse(bytes: &[u8]) -> Result<Recording, String> {
    let mut left = Left { bytes, len: bytes.len() };
    let magic = left.take(MAGIC.len().min(bytes.len()))?;
    if !MAGIC.starts_with(magic) || magic.is_empty() {
        return Err("this is no recording of selkie: it does not begin as one; give a file that \
                    Recording::save has written"
            .to_owned());
    }
    let version = left.u32()?;
    if version != VERSION {
        return Err(format!(
            "this recording has the format of version {version}, and this program reads version \
             {VERSION}; read it with the program that has written it"
        ));
    }
    let (tasks, count, lost) = (left.u32()?, left.u64()?, left.u64()?);
    let mut records = Vec::new();
    for _ in 0..count {
        records.push(Record { when: left.u64()?, a: left.u32()?, b: left.u32()? });
    }
    let mut known = BTreeMap::new();
    for _ in 0..tasks {
        let id = TaskId::of(left.u32()?);
        let spawned_at = left.text()?.unwrap_or_default();
        known.insert(id, Who { spawned_at, name: left.text()? });
    }
    let sum = left.bytes.len();
    let is_whole = left.u64()? == checksum(&bytes[..bytes.len() - sum]) && left.bytes.is_empty();
    if !is_whole || records.iter().any(|record| record.kind().is_none()) {
        return Err(
            "this recording is damaged: its checksum is that of other bytes; copy it again \
                    from where it was saved"
                .to_owned(),
        );
    }
    Ok(Recording { records, lost, tasks: known })
}

/// What is still to be read.
struct Left<'b> {
    bytes: &'b [u8],
    /// How long all of it is.
    len: usize,
}

impl<'b> Left<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], String> {
        let (taken, left) = self.bytes.split_at_checked(count).ok_or_else(|| {
            format!(
                "this recording is torn: it ends after {} bytes, in the middle; take one that was \
                 written to its end",
                self.len
            )
        })?;
        self.bytes = left;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, String> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64, String> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(bytes))
    }

    fn text(&mut self) -> Result<Option<String>, String> {
        match self.u32()? {
            NO_NAME => Ok(None),
            len => Ok(Some(String::from_utf8_lossy(self.take(len as usize)?).into_owned())),
        }
    }
}
