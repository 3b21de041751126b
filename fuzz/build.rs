//! Says to the source files that are included here from the crate that they are to bring their
//! model along.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(selkie_fuzz)");
    println!("cargo::rustc-cfg=selkie_fuzz");
}
