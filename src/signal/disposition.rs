//! Layer 6: what the process does with a signal, before, while and after somebody waits for it.
//! Limits: signals are the process's, not a thread's or a runtime's, so what they were before is
//! kept in a static, and no handler looks at it. Invariant: see [`Disposition`].

use std::ffi::c_int;
use std::fmt;
use std::io;
use std::mem;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use signal_hook_registry::SigId;

use super::number::Signal;

/// One for each signal that was ever waited for: signal-hook-registry installs its handler for it
/// once, and neither takes it out again nor installs it anew.
static DISPOSITIONS: Mutex<Vec<Disposition>> = Mutex::new(Vec::new());

/// What is done with one signal.
///
/// Default ─hold→ Held ─hold→ Held, one more ─release→ Held, one less ─release→ Default: the
/// registry's handler is installed exactly while `holders` is not zero, but for what other code of
/// the process installs.
struct Disposition {
    signal: c_int,
    /// How many actions of this crate are registered for the signal.
    holders: usize,
    /// The registry's handler.
    handler: libc::sigaction,
    /// What was there before the first of `holders` came.
    before: libc::sigaction,
}

/// An action that is registered for a signal; dropped, it is no more.
pub(super) struct Hold {
    signal: c_int,
    id: SigId,
}

impl Hold {
    /// Has `action` called in a signal handler whenever `signal` comes.
    ///
    /// # Errors
    /// As `sigaction(2)`, notably `EINVAL`, of kind `InvalidInput`, if there is no such signal.
    ///
    /// # Safety
    /// `action` must keep to what signal-safety(7) allows, and not panic. The signal may be none
    /// that tells a fault of the program.
    pub(super) unsafe fn new(
        signal: Signal,
        action: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let signal = signal.number();
        let mut dispositions = lock();
        let found = current(signal)?;
        // SAFETY: it has the same obligations as this function. It does not look whether the
        // signal is one of those that it would panic at, which the caller keeps away.
        let id = unsafe { signal_hook_registry::register_signal_unchecked(signal, action) }?;
        match dispositions.iter_mut().find(|known| known.signal == signal) {
            Some(known) if known.holders > 0 => known.holders += 1,
            Some(known) => {
                if let Err(error) = install(signal, &known.handler) {
                    signal_hook_registry::unregister(id);
                    return Err(error);
                }
                known.before = found;
                known.holders = 1;
            }
            None => {
                // Cannot fail: it was asked for just now.
                let handler = current(signal).unwrap_or(found);
                dispositions.push(Disposition { signal, holders: 1, handler, before: found });
            }
        }
        Ok(Self { signal, id })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut dispositions = lock();
        if let Some(known) = dispositions.iter_mut().find(|known| known.signal == self.signal) {
            known.holders = known.holders.saturating_sub(1);
            // What other code has installed meanwhile stays.
            let is_ours = current(self.signal)
                .is_ok_and(|found| found.sa_sigaction == known.handler.sa_sigaction);
            if known.holders == 0 && is_ours {
                // A signal number that was good before is good now.
                let _ = install(self.signal, &known.before);
            }
        }
        // Last: a signal that comes now has its old effect, and never none.
        signal_hook_registry::unregister(self.id);
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Signal::from(self.signal))
    }
}

fn lock() -> MutexGuard<'static, Vec<Disposition>> {
    DISPOSITIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is done with the signal at present.
fn current(signal: c_int) -> io::Result<libc::sigaction> {
    // SAFETY: zeroes are a valid `sigaction`: the default action, no flags, an empty set.
    let mut found = unsafe { mem::zeroed() };
    // SAFETY: nothing is installed, and `found` has room for what is there.
    match unsafe { libc::sigaction(signal, ptr::null(), &mut found) } {
        0 => Ok(found),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has this done with the signal from now on.
fn install(signal: c_int, action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: the action comes from `current`, so it is one that the system had for this signal,
    // and its function, if it has one, is still there: the registry is linked with this crate,
    // and handlers of others may stay installed for ever anyway.
    match unsafe { libc::sigaction(signal, action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
