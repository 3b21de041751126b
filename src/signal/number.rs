//! Layer 6: the signals' numbers and names.
//! Makes no system call.

use std::ffi::c_int;
use std::fmt;

/// The number of a signal, which [`Display`](fmt::Display) shows by its name, as `SIGTERM`.
///
/// The constants of this module name those that all Unixes have. Any other, as one of the
/// real-time signals, is made from its number: `Signal::from(34)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(c_int);

impl Signal {
    /// The number, as the constants of the libc crate have it.
    pub const fn number(self) -> c_int {
        self.0
    }

    /// The name, of those signals that are constants of this module.
    fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(signal, _)| *signal == self).map(|(_, name)| *name)
    }
}

impl From<c_int> for Signal {
    fn from(number: c_int) -> Self {
        Self(number)
    }
}

impl From<Signal> for c_int {
    fn from(signal: Signal) -> Self {
        signal.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("signal {}", self.0)),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.debug_tuple("Signal").field(&self.0).finish(),
        }
    }
}

macro_rules! signals {
    ($($name:ident: $text:literal;)*) => {
        $(#[doc = $text] pub const $name: Signal = Signal(libc::$name);)*

        const NAMES: &[(Signal, &str)] = &[$(($name, stringify!($name))),*];
    };
}

signals! {
    SIGABRT: "The process called abort(3).";
    SIGALRM: "A timer of alarm(2) or setitimer(2) has expired.";
    SIGBUS: "A fault: memory that is not there. It cannot be awaited.";
    SIGCHLD: "A child has ended, stopped or gone on.";
    SIGCONT: "A stopped process goes on.";
    SIGFPE: "A fault: a wrong operation of arithmetic. It cannot be awaited.";
    SIGHUP: "The terminal is gone; for many servers: read the configuration again.";
    SIGILL: "A fault: no instruction of this processor. It cannot be awaited.";
    SIGINT: "Ctrl-C.";
    SIGIO: "A descriptor with `O_ASYNC` is ready.";
    SIGKILL: "Ends the process. It cannot be caught.";
    SIGPIPE: "A pipe or socket was written to that nobody reads. Rust programs ignore it.";
    SIGPROF: "A timer of setitimer(2) for profiling has expired.";
    SIGQUIT: "Ctrl-\\, which asks for a core dump, too.";
    SIGSEGV: "A fault: memory that may not be used so. It cannot be awaited.";
    SIGSTOP: "Stops the process. It cannot be caught.";
    SIGSYS: "A system call that does not exist or is forbidden.";
    SIGTERM: "The process is asked to end, by kill(1) or a service manager.";
    SIGTRAP: "A breakpoint.";
    SIGTSTP: "Ctrl-Z.";
    SIGTTIN: "A process in the background reads from its terminal.";
    SIGTTOU: "A process in the background writes to its terminal.";
    SIGURG: "A socket has out-of-band data.";
    SIGUSR1: "For the program's own purposes.";
    SIGUSR2: "For the program's own purposes.";
    SIGVTALRM: "A timer of setitimer(2) for the process's own time has expired.";
    SIGWINCH: "The terminal has another size.";
    SIGXCPU: "The process has used up its processor time, see setrlimit(2).";
    SIGXFSZ: "A file would become larger than allowed, see setrlimit(2).";
}
