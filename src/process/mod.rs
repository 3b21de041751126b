//! Child processes: std's [`Command`](std::process::Command), awaited. Feature `process`, on Linux.
//!
//! A child is watched by a descriptor of its own (a pidfd, see `pidfd_open(2)`): no handler of
//! SIGCHLD, no thread, and nobody's children are waited for but those that were started here. So it
//! gets on with anything else in the process that starts children and waits for them.
//!
//! ```
//! use selkie::process::Command;
//!
//! # fn main() -> std::io::Result<()> {
//! selkie::block_on(async {
//!     let output = Command::new("echo").arg("hello").output().await?;
//!     assert!(output.status.success());
//!     assert_eq!(output.stdout, b"hello\n");
//!     Ok(())
//! })
//! # }
//! ```
//!
//! With a pipe in each direction, and a deadline:
//!
//! ```
//! use std::process::Stdio;
//! use std::time::Duration;
//!
//! use futures::{AsyncReadExt, AsyncWriteExt};
//! use selkie::process::Command;
//!
//! # fn main() -> std::io::Result<()> {
//! selkie::block_on(async {
//!     let mut command = Command::new("cat");
//!     command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
//!     let mut child = command.spawn()?;
//!     let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
//!     input.write_all(b"there and back").await?;
//!     input.close().await?; // `cat` reads the end of file, and ends.
//!     let mut text = String::new();
//!     output.read_to_string(&mut text).await?;
//!     assert_eq!(text, "there and back");
//!     match selkie::timeout(Duration::from_secs(10), child.wait()).await {
//!         Ok(status) => assert!(status?.success()),
//!         Err(_elapsed) => child.kill()?,
//!     }
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # Limits
//! To start a child blocks the thread until the new program runs or cannot, as std's `spawn` does.
//! The exit status of a child gets lost if other code of the process waits for all children at once
//! (`waitpid(-1)`), or ignores SIGCHLD. Linux 5.4 or newer.

// Layer 6. Invariant: no child is waited for that was not started here, and none by its number.

mod child;
mod command;
mod orphan;
mod stdin;
mod watched;

pub use self::child::{Child, ChildStderr, ChildStdout};
pub use self::command::Command;
pub use self::stdin::ChildStdin;
