//! Pages that tell how things go together.

#[doc = include_str!("embedding.md")]
pub mod embedding {}

#[doc = include_str!("house.md")]
pub mod house {}

// Its code needs the libraries: it is tested in examples/apps.
#[cfg_attr(not(doctest), doc = include_str!("libraries.md"))]
pub mod libraries {}
