//! Layer 1: a back end of the thread's world.

use std::io;

use super::installed::current;
use crate::selector::backend::{Backend, BackendKind, Open};

impl BackendKind {
    /// Opens one, in the [`world`](crate::world) of this thread: usually that is the system.
    ///
    /// # Errors
    /// As the system's, when it has no descriptor or memory to spare.
    pub fn open(self) -> io::Result<Box<dyn Backend + Send>> {
        current().map_or_else(|| self.open_system(), |world| world.open(self))
    }
}

impl Open for Box<dyn Backend + Send> {
    /// The back end that [`BackendKind::from_env`] chooses, in the world of this thread.
    fn open() -> io::Result<Self> {
        BackendKind::from_env()?.open()
    }
}
