//! What the loops here have in common: the work that a runtime does in each of them, and the C
//! interface for those that are not in Rust.
//!
//! Each program stands in `src/bin`, `c` or `python`, with the line that runs it. What a user would
//! copy is between two lines of dashes; the guide's page on embedding has the same lines.

pub mod c;
mod check;
mod work;

pub use check::Check;
