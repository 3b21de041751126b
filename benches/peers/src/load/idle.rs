//! Connections that do nothing, for as long as somebody looks at the server's memory.

use std::io;

use anyhow::Result;

use super::Load;
use super::pattern::Pattern;

/// The line that says that all connections are there.
pub const HELD: &str = "held";

/// Makes the connections, prints [`HELD`], and closes them when standard input ends.
pub fn run(load: &Load, pattern: &Pattern) -> Result<()> {
    let connections: Vec<_> =
        (0..load.connections).map(|_| load.connect_and_greet(pattern)).collect::<Result<_>>()?;
    println!("{HELD}");
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    drop(connections);
    Ok(())
}
