//! Layer 6: a recording that is saved when a task panics.

use std::path::PathBuf;

use super::capture::recording;
use crate::runtime::Builder;

impl Builder {
    /// Saves the [recording](crate::inspect::Recording) as a trace to `path` whenever a task
    /// panics, or the future of a `block_on`; a later one is written over the one before.
    ///
    /// That happens on the loop's thread, which it keeps waiting. If the file cannot be written,
    /// that is told on standard error. To save it at a slow poll, do so in the hook of
    /// [`slow_poll`](Self::slow_poll).
    #[must_use]
    pub fn record_panics(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.after_panic(move || {
            if let Err(error) = recording().save_trace(&path) {
                eprintln!("selkie: the recording cannot be saved to {}: {error}", path.display());
            }
        })
    }
}
