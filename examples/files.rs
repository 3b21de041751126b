//! Work that blocks: files are read by threads of the runtime's own, while the loop goes on.
//!
//! `cargo run --example files --features unblock` prints a line for each file of this folder, such
//! as `   52 lines  examples/files.rs`, the longest file last, and how often the loop went round.
//! Another folder can be named behind `--`.

use std::cell::Cell;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use futures::future::join_all;
use selkie::{unblock, yield_now};

/// The files of a folder. Each answer of the system may have to wait for the disk.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.retain(|path| path.is_file());
    Ok(files)
}

async fn count_lines(path: PathBuf) -> io::Result<(usize, PathBuf)> {
    // What the job needs moves to its thread, and comes back with the answer.
    let (text, path) = unblock(|| (fs::read_to_string(&path), path)).await;
    Ok((text?.lines().count(), path))
}

async fn count(folder: PathBuf) -> io::Result<()> {
    let turns = Rc::new(Cell::new(0_u32));
    let counts = Rc::clone(&turns);
    // Dropped at the end, and so is its loop. It shows that reading holds nothing up.
    let _others = selkie::spawn(async move {
        loop {
            counts.set(counts.get() + 1);
            yield_now().await;
        }
    });

    let files = unblock(move || files(&folder)).await?;
    // All at once; the pool has 8 threads, and the rest waits for one.
    let lines = join_all(files.into_iter().map(count_lines)).await;
    let mut lines = lines.into_iter().collect::<io::Result<Vec<_>>>()?;
    lines.sort();
    for (count, path) in lines {
        println!("{count:>5} lines  {}", path.display());
    }
    println!("meanwhile the loop did something else {} times", turns.get());
    Ok(())
}

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map_or_else(|| PathBuf::from("examples"), PathBuf::from);
    selkie::block_on(count(folder))
}
