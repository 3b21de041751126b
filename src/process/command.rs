//! Layer 6: what to start, as std has it.

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

use super::child::Child;
use crate::runtime::Remote;

/// What to start, and how: [`std::process::Command`], whose children are awaited.
///
/// It may be started any number of times.
#[derive(Debug)]
pub struct Command {
    std: process::Command,
    given: Given,
    kill_on_drop: bool,
}

/// Which of the standard descriptors were set by the caller; std does not tell.
#[derive(Debug, Default)]
struct Given {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl Command {
    /// A command without arguments, which inherits environment and working directory.
    ///
    /// A name without a slash is looked for in the directories of `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let std = process::Command::new(program);
        Self { std, given: Given::default(), kill_on_drop: false }
    }

    /// Adds an argument; no shell looks at it.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.std.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.std.args(args);
        self
    }

    /// Sets the name that the program sees as its own, its argument 0.
    pub fn arg0(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.std.arg0(arg);
        self
    }

    /// Sets a variable of the child's environment.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.std.env(key, value);
        self
    }

    /// Sets variables of the child's environment.
    pub fn envs<K, V>(&mut self, variables: impl IntoIterator<Item = (K, V)>) -> &mut Self
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.std.envs(variables);
        self
    }

    /// Takes a variable out of the child's environment.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.std.env_remove(key);
        self
    }

    /// Gives the child an empty environment, but for what is set afterwards.
    pub fn env_clear(&mut self) -> &mut Self {
        self.std.env_clear();
        self
    }

    /// Sets the child's working directory.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.std.current_dir(directory);
        self
    }

    /// Sets the child's standard input: inherited if not set, and of [`output`](Self::output)
    /// empty.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.given.stdin = true;
        self.std.stdin(stdin);
        self
    }

    /// Sets the child's standard output: inherited if not set, and of [`output`](Self::output) a
    /// pipe.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.given.stdout = true;
        self.std.stdout(stdout);
        self
    }

    /// Sets the child's standard error, as [`stdout`](Self::stdout).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.given.stderr = true;
        self.std.stderr(stderr);
        self
    }

    /// Sets the child's user, by number. As root, the child loses its supplementary groups, too.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.std.uid(id);
        self
    }

    /// Sets the child's group, by number.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.std.gid(id);
        self
    }

    /// Sets the child's process group; 0 for one of its own, which Ctrl-C does not reach.
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.std.process_group(group);
        self
    }

    /// Has `f` run in the child, after fork(2) and before execve(2).
    ///
    /// # Safety
    /// As [`CommandExt::pre_exec`]: only what signal-safety(7) allows, so no allocation, and none
    /// of this crate.
    pub unsafe fn pre_exec(
        &mut self,
        f: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
    ) -> &mut Self {
        // SAFETY: the caller owes the same.
        unsafe { self.std.pre_exec(f) };
        self
    }

    /// Kills a child when its [`Child`] is dropped; false if not set.
    ///
    /// So also when the future of [`status`](Self::status) or [`output`](Self::output) is dropped,
    /// by a timeout for instance. A killed child is waited for: by the runtime, or, if that is
    /// gone, by blocking the thread.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// The program.
    pub fn get_program(&self) -> &OsStr {
        self.std.get_program()
    }

    /// The arguments.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.std.get_args()
    }

    /// The variables of the environment that were set, and, without a value, taken out.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.std.get_envs()
    }

    /// The working directory, if one was set.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.std.get_current_dir()
    }

    /// Starts a child.
    ///
    /// # Errors
    /// Of kind `NotFound` if there is no such program; else as fork(2) and execve(2). As
    /// pidfd_open(2), notably `EMFILE`, if it cannot be watched: the child is killed then, and
    /// waited for.
    ///
    /// # Panics
    /// If called outside [`Runtime::block_on`](crate::Runtime::block_on),
    /// [`Runtime::enter`](crate::Runtime::enter) and tasks.
    #[track_caller]
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.start(Unset::Inherited)
    }

    /// Starts a child, at once; the future waits until it has ended. A pipe to it is closed at
    /// once, and pipes from it, too.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn) and [`Child::wait`].
    ///
    /// # Panics
    /// As [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    /// May be dropped at any time: the child goes on, unless
    /// [`kill_on_drop`](Self::kill_on_drop) was asked for.
    #[track_caller]
    pub fn status(&mut self) -> impl Future<Output = io::Result<ExitStatus>> + use<> {
        let started = self.start(Unset::Inherited);
        async {
            let mut child = started?;
            drop((child.stdin.take(), child.stdout.take(), child.stderr.take()));
            child.wait().await
        }
    }

    /// Starts a child, at once; the future waits until it has ended, and gathers what it writes to
    /// standard output and standard error, as far as these were not set to something else.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    ///
    /// # Panics
    /// As [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    /// As [`status`](Self::status); what was read is lost.
    #[track_caller]
    pub fn output(&mut self) -> impl Future<Output = io::Result<Output>> + use<> {
        let started = self.start(Unset::Gathered);
        async { started?.wait_with_output().await }
    }

    #[track_caller]
    fn start(&mut self, unset: Unset) -> io::Result<Child> {
        let runtime = Remote::current();
        // Each time: an earlier start may have left something else.
        if !self.given.stdin {
            self.std.stdin(unset.input());
        }
        if !self.given.stdout {
            self.std.stdout(unset.output());
        }
        if !self.given.stderr {
            self.std.stderr(unset.output());
        }
        let started = self.std.spawn().map_err(|error| self.cannot_start(&error))?;
        Child::adopt(started, self.kill_on_drop, runtime)
    }

    fn cannot_start(&self, error: &io::Error) -> io::Error {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => {
                "name a program that exists: by its path, or one that PATH finds (the working \
                 directory and a script's interpreter have to exist, too)"
            }
            io::ErrorKind::PermissionDenied => "it has to be executable, see chmod(1)",
            _ => "see fork(2) and execve(2)",
        };
        let program = self.get_program();
        io::Error::new(error.kind(), format!("{program:?} cannot be started: {error}; {remedy}"))
    }
}

/// What a standard descriptor is that was not set.
#[derive(Clone, Copy)]
enum Unset {
    Inherited,
    Gathered,
}

impl Unset {
    fn input(self) -> Stdio {
        match self {
            Self::Inherited => Stdio::inherit(),
            Self::Gathered => Stdio::null(),
        }
    }

    fn output(self) -> Stdio {
        match self {
            Self::Inherited => Stdio::inherit(),
            Self::Gathered => Stdio::piped(),
        }
    }
}
